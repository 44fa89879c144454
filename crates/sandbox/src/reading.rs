//! Reads a command's output while the command runs.
//!
//! [`pump`] never waits for the reader of the live output, so a slow reader does not block the command.

use std::time::Duration;

use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    output::{Clip, Live},
    screen::Screen,
    terminal::{Decoder, Parser},
};

/// Minimum time between two chunks of live output.
const LIVE_PERIOD: Duration = Duration::from_millis(100);
/// Maximum size of the live output, as a multiple of the maximum output size for the model.
const LIVE_FACTOR: usize = 4;

/// Reads the output to its end, or until `enough` is cancelled. `first` is a byte that was already read. Sends live chunks to `sink` while the channel has
/// room.
pub async fn pump(
    mut output: pipe::Receiver,
    first: Option<u8>,
    max_bytes: usize,
    sink: mpsc::Sender<String>,
    enough: CancellationToken,
) -> Clip {
    let mut reading = Reading::new(max_bytes);
    reading.push(first.as_slice());
    let mut ticks = interval(LIVE_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            read = output.read(&mut chunk) => match read {
                Ok(count @ 1..) => reading.push(&chunk[..count]),
                Ok(0) | Err(_) => break,
            },
            _ = ticks.tick(), if reading.live.is_waiting() && !sink.is_closed() => {
                // If the channel is full, the chunk stays in `live` until the next tick.
                if let Ok(room) = sink.try_reserve() {
                    room.send(reading.live.take());
                }
            }
            () = enough.cancelled() => break,
        }
    }
    let (clip, mut live) = reading.finish();
    if live.is_waiting() {
        // If the receiver was dropped or the channel is full, the last chunk is lost.
        let _ = sink.try_send(live.take());
    }
    clip
}

struct Reading {
    decoder: Decoder,
    parser: Parser,
    screen: Screen,
    clip: Clip,
    live: Live,
}

impl Reading {
    fn new(max_bytes: usize) -> Self {
        Self {
            decoder: Decoder::default(),
            parser: Parser::default(),
            screen: Screen::default(),
            clip: Clip::new(max_bytes),
            live: Live::new(max_bytes.saturating_mul(LIVE_FACTOR)),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let text = self.decoder.push(bytes);
        self.push_text(&text);
    }

    fn push_text(&mut self, text: &str) {
        let (screen, live) = (&mut self.screen, &mut self.live);
        self.parser.push(text, |step| {
            screen.step(step);
            live.step(step);
        });
        self.clip.push(&self.screen.take());
    }

    fn finish(mut self) -> (Clip, Live) {
        let rest = self.decoder.finish();
        self.push_text(&rest);
        self.clip.push(&self.screen.finish());
        (self.clip, self.live)
    }
}
