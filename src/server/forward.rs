//! Implements the writing half of a stream wrapper: every write goes to the wrapped stream. Used by
//! `server/protocol_detection.rs` and `server/linger.rs`.

/// Defines all methods of `AsyncWrite` except `poll_shutdown`.
macro_rules! forward_writes {
    ($stream:ident) => {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.$stream).poll_write(cx, bytes)
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffers: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.$stream).poll_write_vectored(cx, buffers)
        }

        fn is_write_vectored(&self) -> bool {
            self.$stream.is_write_vectored()
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.$stream).poll_flush(cx)
        }
    };
}

pub(super) use forward_writes;
