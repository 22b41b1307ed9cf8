//! One row of the table: what a client says, byte by byte of its own making, and what it must hear.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use volery_door::socket::{Gone, Limits};
use volery_kernel::code::Close;

use crate::support::{CLOSE, Echo, FIN, NEVER, TEXT, close, masked, raw_client, unmasked_frames};

/// First byte and payload of a frame from the server.
pub(crate) type Frame = (u8, Vec<u8>);

pub(crate) struct Case {
    name: String,
    sent: Vec<Vec<u8>>,
    answered: Vec<Frame>,
    gone: Gone,
    /// The client keeps its side open: the server must not wait for more.
    open: bool,
}

/// A close of this number and reason.
pub(crate) fn said(number: u16, reason: &str) -> Frame {
    (FIN | CLOSE, [&number.to_be_bytes()[..], reason.as_bytes()].concat())
}

impl Case {
    /// Frames that break nothing, and what answers them; then both sides close.
    pub(crate) fn good(name: impl Into<String>, mut sent: Vec<Vec<u8>>, mut answered: Vec<Frame>) -> Self {
        sent.push(close(1000, b""));
        answered.push(said(1000, ""));
        Self::ending(name, sent, answered, Gone::ByPeer(Some(1000)))
    }

    /// Frames after which the server closes so, at once, whether more comes or not. What came before is answered.
    pub(crate) fn bad(name: impl Into<String>, sent: Vec<Vec<u8>>, code: Close) -> Self {
        let sent = [vec![masked(FIN | TEXT, b"before")], sent].concat();
        let answered = vec![(FIN | TEXT, b"before".to_vec()), said(code.number(), code.text())];
        Self { open: true, ..Self::ending(name, sent, answered, Gone::ByUs(code)) }
    }

    /// Any other end.
    pub(crate) fn ending(name: impl Into<String>, sent: Vec<Vec<u8>>, answered: Vec<Frame>, gone: Gone) -> Self {
        Self { name: name.into(), sent, answered, gone, open: false }
    }

    async fn converse(&self, pieces: &[Vec<u8>]) -> (Vec<Frame>, Gone) {
        let echo = Echo::start(Limits::default()).await;
        let (mut reading, mut writing) = raw_client(echo.address).await.into_split();
        let write = async {
            for piece in pieces {
                // The server may be gone already: it fails at the first wrong byte.
                if writing.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            if !self.open {
                let _ = writing.shutdown().await;
            }
        };
        let mut answer = Vec::new();
        let read =
            async { tokio::time::timeout(NEVER, reading.read_to_end(&mut answer)).await.expect("an end").unwrap() };
        tokio::join!(write, read);
        drop((reading, writing));
        (unmasked_frames(&answer), echo.gone().await)
    }

    /// What is wrong with each way of cutting what is sent.
    async fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for (how, pieces) in cuts(&self.sent) {
            let (answered, gone) = self.converse(&pieces).await;
            if (&answered, gone) != (&self.answered, self.gone) {
                failures.push(format!("{}, {how}: {} {gone:?}", self.name, shown(&answered)));
            }
        }
        failures
    }
}

/// All at once, a frame at a time, and in pieces that no frame ends with: single bytes where there are few.
fn cuts(sent: &[Vec<u8>]) -> [(&'static str, Vec<Vec<u8>>); 3] {
    let whole = sent.concat();
    let piece = if whole.len() > 1_024 { 997 } else { 1 };
    let pieces = whole.chunks(piece).map(<[u8]>::to_vec).collect();
    [("whole", vec![whole]), ("by frames", sent.to_vec()), ("in pieces", pieces)]
}

/// Runs all and names each that fails.
pub(crate) async fn run(cases: Vec<Case>) {
    let mut names: Vec<_> = cases.iter().map(|case| case.name.clone()).collect();
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|two| two[0] == two[1]).collect();
    assert!(twice.is_empty(), "a name tells which case failed: {twice:?}");
    let mut failures = Vec::new();
    for case in &cases {
        failures.extend(case.failures().await);
    }
    println!("{} cases, each cut in three ways", cases.len());
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), 3 * cases.len(), failures.join("\n"));
}

fn shown(frames: &[Frame]) -> String {
    let frame = |(first, payload): &Frame| {
        let start = &payload[..payload.len().min(40)];
        format!("[{first:#x}, {} bytes: {:?}]", payload.len(), String::from_utf8_lossy(start))
    };
    frames.iter().map(frame).collect()
}
