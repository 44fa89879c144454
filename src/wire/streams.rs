//! Limits the number of open streams of each account, of each address (for requests without a credential), and of the
//! process. A stream is open until its response is dropped.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body::{Frame, SizeHint};
use prost_reflect::DescriptorPool;
use tonic::{Status, body::Body};
use tower::{ServiceExt, service_fn};

use super::{answers::Answers, owner::Owner};
use crate::{
    error::{Code, Error, Result},
    telemetry::names,
};

/// Maximum number of open streams per address, for requests without a credential.
const MAX_PER_ADDRESS: usize = 100;
/// Requests without a credential may together use one tenth of the maximum number of streams.
const OPEN_PART: usize = 10;
const RETRY_AFTER: Duration = Duration::from_secs(5);

pub struct Streams {
    /// gRPC paths of the streaming methods.
    methods: HashSet<String>,
    most: usize,
    most_per_account: usize,
    open: Mutex<Open>,
    gauge: metrics::Gauge,
}

#[derive(Default)]
struct Open {
    owners: HashMap<Owner, usize>,
    all: usize,
    without_credential: usize,
}

impl Streams {
    pub fn new(pool: &DescriptorPool, most: usize, most_per_account: usize) -> Arc<Self> {
        let methods = pool.services().flat_map(|service| {
            let methods: Vec<_> = service
                .methods()
                .filter(prost_reflect::MethodDescriptor::is_server_streaming)
                .collect();
            methods
                .into_iter()
                .map(move |method| format!("/{}/{}", service.full_name(), method.name()))
        });
        let others = [
            "/grpc.health.v1.Health/Watch",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ];
        Arc::new(Self {
            methods: methods.chain(others.map(str::to_owned)).collect(),
            most,
            most_per_account,
            open: Mutex::default(),
            gauge: metrics::gauge!(names::STREAMS_OPEN),
        })
    }

    /// Counts a stream as open until the returned ticket is dropped.
    ///
    /// # Errors
    /// THROTTLED if a limit is reached.
    fn admit(self: &Arc<Self>, owner: Owner) -> Result<Ticket> {
        let mut open = self.open();
        let open_streams = open.owners.get(&owner).copied().unwrap_or_default();
        let has_credential = matches!(owner, Owner::Account(_));
        let limit = if has_credential {
            self.most_per_account
        } else {
            MAX_PER_ADDRESS
        };
        let whose = if has_credential { "this account" } else { "this address" };
        if open_streams >= limit {
            return Err(refused(format!(
                "{whose} has {open_streams} open streams, which is the maximum; close some of them"
            )));
        }
        let is_full = open.all >= self.most || (!has_credential && open.without_credential >= self.most / OPEN_PART);
        if is_full {
            return Err(refused(
                "the server has reached its maximum number of open streams; retry later".to_owned(),
            ));
        }
        *open.owners.entry(owner).or_default() += 1;
        open.all += 1;
        open.without_credential += usize::from(!has_credential);
        drop(open);
        self.gauge.increment(1);
        Ok(Ticket {
            streams: Arc::clone(self),
            owner,
        })
    }

    /// Admits the stream of a request. Returns `None` if the method does not return a stream.
    fn ticket(self: &Arc<Self>, request: &Request<Body>) -> Result<Option<Ticket>> {
        if !self.methods.contains(request.uri().path()) {
            return Ok(None);
        }
        let owner = request.extensions().get().copied().unwrap_or(Owner::Unknown);
        self.admit(owner).map(Some)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(message: String) -> Error {
    Error::new(Code::Throttled, message).retry_after(RETRY_AFTER)
}

struct Ticket {
    streams: Arc<Streams>,
    owner: Owner,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.streams.gauge.decrement(1);
        let mut open = self.streams.open();
        open.all -= 1;
        open.without_credential -= usize::from(!matches!(self.owner, Owner::Account(_)));
        if let Some(count) = open.owners.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                open.owners.remove(&self.owner);
            }
        }
    }
}

pub(super) fn count(grpc: impl Answers<Body>, streams: Arc<Streams>) -> impl Answers<Body> {
    service_fn(move |request: Request<Body>| {
        let grpc = grpc.clone();
        let ticket = streams.ticket(&request);
        async move {
            match ticket {
                Ok(None) => grpc.oneshot(request).await,
                Ok(Some(ticket)) => {
                    let answer = grpc.oneshot(request).await?;
                    Ok(answer.map(|body| Body::new(CountedBody { body, _ticket: ticket })))
                }
                Err(error) => Ok(Status::from(error).into_http()),
            }
        }
    })
}

struct CountedBody {
    body: Body,
    _ticket: Ticket,
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failing test panics")]

    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_closed_stream_frees_its_place() {
        let streams = Streams::new(&DescriptorPool::new(), 30, 3);
        let ann = Owner::Account(Uuid::from_u128(1));
        let open: Vec<_> = (0..3).map(|_| streams.admit(ann).unwrap()).collect();
        let refused = streams.admit(ann).err().unwrap();
        assert_eq!(refused.code(), Code::Throttled);
        assert!(refused.message().contains("3 open streams") && refused.retry_after_hint().is_some());
        let _bob = streams.admit(Owner::Account(Uuid::from_u128(2))).unwrap();
        drop(open);
        let _again: Vec<_> = (0..3).map(|_| streams.admit(ann).unwrap()).collect();
    }

    #[test]
    fn requests_without_a_credential_get_a_tenth_of_the_streams() {
        let streams = Streams::new(&DescriptorPool::new(), 30, 100);
        let address = |last: u8| Owner::of_address(Some([192, 0, 2, last].into()));
        let open: Vec<_> = (0..3).map(|last| streams.admit(address(last)).unwrap()).collect();
        assert!(streams.admit(address(9)).is_err());
        let ann = Owner::Account(Uuid::from_u128(1));
        let rest: Vec<_> = (0..27).map(|_| streams.admit(ann).unwrap()).collect();
        assert!(streams.admit(ann).is_err(), "the process has reached its limit");
        drop(rest);
        drop(open);
        assert!(streams.admit(address(9)).is_ok());
    }
}
