//! Whoever says too little for too long is closed, and disturbs nobody.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use volery_door::frame::{Kind, Opcode};
use volery_wire::codec::Encoding;

use super::bad_input::{closes, while_others_chat};
use super::kit::socket::{Came, Socket, frame};
use super::kit::{NEVER, Server, now, wait_for};

#[test]
fn whoever_is_slow_is_closed_in_time() {
    let server = Server::start(&["ada", "bob", "eve"]);
    let mut eve = server.synced("eve");
    let door = server.addresses().door;
    let long = frame(Opcode::Data(Kind::Binary), &[0xc1; 100]);
    while_others_chat(&server, || {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut silent = Socket::open(&door, Encoding::Json).expect("open");
                assert_eq!(silent.closed(), (4000, "hello_timeout".to_owned()), "no hello");
            });
            scope.spawn(|| {
                let mut slow = Socket::open(&door, Encoding::MessagePack).expect("open");
                assert_eq!(trickle(&mut slow, &long), (4000, "hello_timeout".to_owned()), "hello, a byte a second");
            });
            scope.spawn(|| {
                let mut stream = TcpStream::connect(&door).expect("open");
                stream.write_all(b"GET /v1/ws HTTP/1.1\r\n").expect("written");
                stream.set_read_timeout(Some(NEVER)).expect("a time-out");
                let mut answer = String::new();
                // A reset is an end as well.
                let _ = std::io::Read::read_to_string(&mut stream, &mut answer);
                assert!(!answer.contains(" 101 "), "{answer}");
            });
            let begun = now();
            assert_eq!(trickle(eve.socket(), &long), (4006, "slow_frame".to_owned()), "a frame, a byte a second");
            let took = begun.elapsed().as_secs();
            assert!((9..30).contains(&took), "ten seconds, not {took}");
        });
        wait_for("all are counted", || {
            (closes(&server, "hello_timeout") == 3 && closes(&server, "slow_frame") == 1).then_some(())
        });
    });
}

/// Says this a byte a second until the socket is closed.
fn trickle(socket: &mut Socket, bytes: &[u8]) -> (u16, String) {
    for byte in bytes {
        socket.send_raw(&[*byte]);
        let until = now() + Duration::from_secs(1);
        loop {
            match socket.next(until) {
                Came::Closed(number, reason) => return (number, reason),
                Came::Nothing => break,
                Came::Frame(_) => {}
                Came::Ended => panic!("ended without a close"),
            }
        }
    }
    panic!("it may go on for ever");
}
