//! Limits the total memory of responses that clients have not read.
//!
//! The unsent part of a response stays in memory while its client does not read. This layer passes responses to the
//! connection in small chunks, and counts the remaining bytes.
//!
//! If all responses together exceed the limit, the layer selects the account or address with the most unread bytes.
//! Of the responses to this account or address, the layer aborts the one that has waited longest. The layer repeats
//! this until the total is clearly below the limit.

mod answer;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use dashmap::DashMap;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tower::BoxError;

use self::answer::PendingResponse;
use super::{
    answers::{Answers, run},
    link::{Link, Visit},
    owner::Owner,
};

pub(super) async fn limit(ledger: Arc<Ledger>, request: Request<Body>, next: impl Answers<Body>) -> Response<Body> {
    let visit = request.extensions().get::<Arc<Link>>().map(Link::begin);
    let answer = run(next, request).await;
    if let Some(visit) = &visit {
        visit.answered();
    }
    ledger.hold(answer, visit)
}

/// The responses that are not yet completely sent.
pub(super) struct Ledger {
    limit: usize,
    total: AtomicUsize,
    next: AtomicU64,
    answers: DashMap<u64, Arc<PendingResponse>>,
    relief: Mutex<()>,
    opened: Instant,
}

impl Ledger {
    /// `limit` is the maximum total size of all unread responses, in bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            total: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            answers: DashMap::new(),
            relief: Mutex::new(()),
            opened: Instant::now(),
        }
    }

    fn hold(self: Arc<Self>, answer: Response<Body>, visit: Option<Visit>) -> Response<Body> {
        let (parts, body) = answer.into_parts();
        let owner = parts.extensions.get().copied().unwrap_or(Owner::Unknown);
        let answer = Arc::new(PendingResponse::new(owner, body, self.now()));
        let number = self.next.fetch_add(1, Relaxed);
        let held = answer.content().held();
        self.answers.insert(number, Arc::clone(&answer));
        self.count(&answer, held);
        let body = HeldBody {
            ledger: self,
            number,
            answer,
            _visit: visit,
        };
        Response::from_parts(parts, Body::new(body))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Records how many bytes of a response are in memory. If the total grows above the limit, aborts responses.
    fn count(&self, answer: &PendingResponse, held: usize) {
        let before = answer.bytes.swap(held, Relaxed);
        let total = if held >= before {
            self.total.fetch_add(held - before, Relaxed) + (held - before)
        } else {
            self.total.fetch_sub(before - held, Relaxed) - (before - held)
        };
        if total > self.limit && held > before {
            self.relieve();
        }
    }

    /// Aborts responses until the total is no more than seven eighths of the limit. Does nothing if another thread is
    /// already aborting responses.
    fn relieve(&self) {
        let Ok(_turn) = self.relief.try_lock() else { return };
        let mut owners: HashMap<Owner, (usize, Vec<Arc<PendingResponse>>)> = HashMap::new();
        for answer in &self.answers {
            let held = answer.bytes.load(Relaxed);
            if held > 0 {
                let (sum, answers) = owners.entry(answer.owner).or_default();
                *sum += held;
                answers.push(Arc::clone(answer.value()));
            }
        }
        for (_, answers) in owners.values_mut() {
            // The response that has waited longest is sorted to the end and popped first.
            answers.sort_unstable_by_key(|answer| std::cmp::Reverse(answer.taken_at.load(Relaxed)));
        }
        let room = self.limit - self.limit / 8;
        let mut ended = 0;
        while self.total.load(Relaxed) > room {
            let Some((sum, answers)) = owners.values_mut().max_by_key(|(sum, _)| *sum) else {
                break;
            };
            let Some(answer) = answers.pop() else { break };
            *sum = sum.saturating_sub(answer.bytes.load(Relaxed));
            answer.cut();
            self.count(&answer, 0);
            ended += 1;
        }
        tracing::warn!(ended, "aborted responses that their clients did not read");
    }
}

/// The body of a response. Its unread bytes are counted until this value is dropped.
struct HeldBody {
    ledger: Arc<Ledger>,
    number: u64,
    answer: Arc<PendingResponse>,
    _visit: Option<Visit>,
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let (polled, held) = {
            let mut left = self.answer.content();
            let polled = left.poll_piece(context);
            (polled, left.held())
        };
        self.answer.taken_at.store(self.ledger.now(), Relaxed);
        self.ledger.count(&self.answer, held);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.answer.content().is_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.content().size_hint()
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        self.ledger.answers.remove(&self.number);
        self.ledger.count(&self.answer, 0);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failing test panics")]

    use std::convert::Infallible;

    use futures::stream;
    use http_body::Body as _;
    use http_body_util::BodyExt;
    use tower::{ServiceExt, service_fn};
    use uuid::Uuid;

    use super::{answer::PIECE, *};
    use crate::wire::answers::layer;

    const KIB: usize = 1024;

    async fn answer(service: &impl Answers<Body>, account: u8) -> Body {
        let mut request = Request::new(Body::empty());
        request
            .extensions_mut()
            .insert(Owner::Account(Uuid::from_u128(account.into())));
        service.clone().oneshot(request).await.unwrap().into_body()
    }

    fn limited(ledger: &Arc<Ledger>, service: impl Answers<Body>) -> impl Answers<Body> {
        layer(service, Arc::clone(ledger), limit)
    }

    /// A service whose responses never end. `frame` is the size of each frame in bytes.
    fn endless(frame: usize) -> impl Answers<Body> {
        service_fn(move |request: Request<Body>| async move {
            let frames = stream::repeat_with(move || Ok::<_, Infallible>(Bytes::from(vec![7; frame])));
            let mut answer = Response::new(Body::from_stream(frames));
            answer
                .extensions_mut()
                .insert(*request.extensions().get::<Owner>().unwrap());
            Ok::<_, Infallible>(answer)
        })
    }

    async fn read(body: &mut Body) -> Option<usize> {
        let frame = body.frame().await.unwrap();
        frame.ok().map(|frame| frame.into_data().unwrap().len())
    }

    #[tokio::test]
    async fn a_large_frame_is_sent_completely_in_chunks() {
        let service = service_fn(|_: Request<Body>| async {
            let content: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
            Ok::<_, Infallible>(Response::new(Body::from(content)))
        });
        let ledger = Arc::new(Ledger::new(KIB * KIB));
        let body = answer(&limited(&ledger, service), 1).await;
        assert_eq!(body.size_hint().exact(), Some(100_000));
        let whole = body.collect().await.unwrap().to_bytes();
        assert_eq!(whole.len(), 100_000);
        assert!(whole.iter().enumerate().all(|(at, byte)| at.to_le_bytes()[0] == *byte));
        assert_eq!((ledger.total.load(Relaxed), ledger.answers.len()), (0, 0));
    }

    #[tokio::test]
    async fn the_owner_that_holds_most_loses_the_response_that_waited_longest() {
        let ledger = Arc::new(Ledger::new(1000 * KIB));
        let service = limited(&ledger, endless(100 * KIB));
        let mut bob = answer(&service, 2).await;
        assert_eq!(read(&mut bob).await, Some(PIECE));
        let mut ann = Vec::new();
        for _ in 0..6 {
            let mut body = answer(&service, 1).await;
            let _ = read(&mut body).await;
            ann.push(body);
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        assert!(ledger.total.load(Relaxed) <= 1000 * KIB);
        assert_eq!(
            read(&mut ann[0]).await,
            None,
            "the account that holds most loses the response that waited longest"
        );
        assert_eq!(read(&mut bob).await, Some(PIECE), "another account keeps its response");
        assert_eq!(read(ann.last_mut().unwrap()).await, Some(PIECE));
        drop((ann, bob));
        assert_eq!((ledger.total.load(Relaxed), ledger.answers.len()), (0, 0));
    }
}
