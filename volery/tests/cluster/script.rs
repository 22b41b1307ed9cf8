//! The client in Python, which was written from `docs/protocol.md` alone.

use std::path::Path;
use std::process::Command;

use volery_testkit::skip::skipped;

use super::kit::Server;

#[test]
fn the_client_written_from_the_document_passes() {
    let name = "the_client_written_from_the_document_passes";
    if Command::new("python3").arg("--version").output().is_err() {
        return skipped(name, "there is no python3");
    }
    let server = Server::start(&[]);
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python-client/check.py");
    let gateway = format!("http://{}", server.addresses().gateway);
    let done = Command::new("python3").arg(check).arg(gateway).output().expect("python3 runs");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
}
