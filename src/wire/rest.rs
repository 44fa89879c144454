//! The rest of a request that nobody wants to read, such as the body of one that was refused.
//!
//! Over HTTP/2 the connection lives on, with other calls on it. Frames that nobody reads count against it, and h2 ends a
//! connection that has too many of them ("too_many_data_frames"). So what little a request still has to say is read beside
//! its answer; one that has more is dropped, as its client deserves.

use std::{pin::pin, time::Duration};

use axum::body::Body;
use futures::StreamExt;
use tokio::time::timeout;

/// Bytes that are read; more than a message of most calls has.
const MOST: usize = 64 * 1024;
/// How long they are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads the rest of a body and forgets it.
pub(super) async fn drain(body: Body) {
    let reading = async {
        let mut pieces = pin!(body.into_data_stream());
        let mut read = 0;
        while let Some(Ok(piece)) = pieces.next().await {
            read += piece.len();
            if read > MOST {
                return;
            }
        }
    };
    // Whatever is left then goes with the stream.
    let _ = timeout(PATIENCE, reading).await;
}
