"""Checks a running service from outside: python3 check.py http://127.0.0.1:8400, or https://… [CA_FILE]

Two new users write to each other; sockets are killed in mid-send, a client is started anew from its
stored state, a new device reads everything; in the end everything is there once and in order,
everywhere. Exits with 1, and says what failed. Every wait has a deadline.
"""

import os
import ssl
import sys
import tempfile
import time
import urllib.parse

from volery_client import Client, Problem, http
from ws import Closed

WAIT = 30
PASSWORD = "correct horse battery"


# Whom the clients believe at https://: a file, or the machine's authorities.
ca = None


class Failed(Exception):
    pass


def expect(truth, what):
    if not truth:
        raise Failed(what)


def until(clients, condition, what, timeout=WAIT):
    """Lets all clients work, and come back when they lose their socket, until the condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            state = [(c.synced, len(c.s["unconfirmed"]), c.failed) for c in clients]
            raise Failed(f"{what}: not within {timeout} s (synced, unconfirmed, failed of each: {state})")
        for client in clients:
            try:
                if client.socket is None:
                    client.reconnect(deadline)
                client.pump(time.monotonic() + 0.02)
            except Closed as closed:
                expect(client.may_come_back(closed), f"{what}: the node closed for good: {closed}")
                client.drop()
            except Problem as problem:
                raise Failed(f"{what}: {problem}") from problem


def tls():
    return ssl.create_default_context(cafile=ca)


def ready(gateway):
    deadline = time.monotonic() + WAIT
    while True:
        try:
            return http(gateway, "GET", "/readyz", tls=tls())
        except (Problem, OSError) as error:
            if time.monotonic() > deadline:
                raise Failed(f"{gateway} was not ready within {WAIT} s: {error}") from error
            time.sleep(0.1)


def refused(call, code, what):
    try:
        call()
    except Problem as problem:
        return expect(problem.code == code, f"{what}: expected {code}, got {problem.code}")
    raise Failed(f"{what}: it was not refused")


def log_in(gateway, folder, name, device):
    client = Client(os.path.join(folder, f"{name}-{device}.json"), ca)
    client.log_in(gateway, name, PASSWORD, device)
    return client


def texts(client, chat):
    return [message["text"] for message in client.messages(chat)]


def settle(clients, chat, count, what):
    """Everything is confirmed and held by all."""
    until(
        clients,
        lambda: all(c.synced and not c.s["unconfirmed"] and len(c.messages(chat)) >= count for c in clients),
        what,
    )


def both_ways(ada, bob, chat):
    for turn in range(5):
        ada.send(bob.user, f"a{turn}")
        settle([ada, bob], chat, 2 * turn + 1, f"message a{turn}")
        bob.send(ada.user, f"b{turn} žluťoučký \U0001f40e \"\\\n")
        settle([ada, bob], chat, 2 * turn + 2, f"message b{turn}")
    expect(texts(ada, chat) == texts(bob, chat), "both show the same after turns")
    return texts(ada, chat)


def killed_in_mid_send(ada, bob, chat, written):
    """The socket dies after 0, 1, 2 … acks; what is unconfirmed is retried with its key."""
    for acks in range(4):
        batch = [f"k{acks}.{n}" for n in range(6)]
        sends = [ada.send(bob.user, text) for text in batch]
        until([ada], lambda: sum(not ada.is_unconfirmed(send) for send in sends) >= acks, f"{acks} acks")
        ada.drop()
        later = f"k{acks}.after"
        ada.send(bob.user, later)
        written += [*batch, later]
        settle([ada, bob], chat, len(written), f"everything after a socket killed behind {acks} acks")
    expect(not ada.failed, f"no send failed: {ada.failed}")
    expect(texts(ada, chat) == written, f"the sender shows it once and in order:\n{texts(ada, chat)}\n{written}")
    expect(texts(bob, chat) == written, f"the receiver shows it once and in order:\n{texts(bob, chat)}\n{written}")


def started_anew(ada, bob, chat, written):
    """Bob's client ends without a word and comes back from its stored state, at its position."""
    bob.drop()
    for n in range(40):
        ada.send(bob.user, f"away {n}")
        written.append(f"away {n}")
    until([ada], lambda: not ada.s["unconfirmed"], "acks while the other is away")
    again = Client(bob.state.path, ca)
    settle([ada, again], chat, len(written), "what came while away")
    expect(texts(again, chat) == written, "the absence is filled, once and in order")
    return again


def slow_reader(ada, bob, chat, written):
    """Bob reads nothing while more than a window comes; then he is told `gap`, and catches up."""
    before = bob.gaps
    for n in range(80):
        text = f"much {n} " + "." * 2_000
        ada.send(bob.user, text)
        written.append(text)
    until([ada], lambda: not ada.s["unconfirmed"], "acks while the other does not read")
    settle([ada, bob], chat, len(written), "a slow reader catches up")
    expect(bob.gaps > before, "a slow reader is told `gap`")
    expect(texts(bob, chat) == written, "a slow reader misses nothing and gets nothing twice")


def changes(ada, bob, chat, written):
    first, second, third = [m for m in ada.messages(chat) if m["from"] == ada.user][:3]
    ada.send_operation("edit", bob.user, {"id": first["id"], "text": "edited"})
    ada.send_operation("delete", bob.user, {"id": second["id"]})
    bob.send_operation("react", ada.user, {"id": third["id"], "emoji": "\U0001f44d"})
    for index, message in enumerate(ada.messages(chat)):
        if message["id"] in (first["id"], second["id"]):
            written[index] = "edited" if message["id"] == first["id"] else ""

    def reactions(client):
        return client.s["messages"][chat][third["id"]].get("reactions", [])

    def shown(client):
        reacted = [(r["by"], r["emoji"]) for r in reactions(client)]
        return texts(client, chat) == written and reacted == [(bob.user, "\U0001f44d")]

    until([ada, bob], lambda: shown(ada) and shown(bob), "an edit, a deletion and a reaction on both sides")
    expect(reactions(ada) == reactions(bob), "both sides know by which change")
    return third["id"], reactions(ada)


def marks(ada, bob, chat):
    newest = [m for m in ada.messages(chat) if m["from"] == ada.user][-1]["id"]
    until([ada, bob], lambda: ada.status(chat, newest) != "sent", "the newest message is delivered")
    until([ada, bob], lambda: not bob.s["undelivered"], "the receiver has met its own delivered mark")
    bob.mark_read(chat)
    until([ada, bob], lambda: ada.status(chat, newest) == "read", "the newest message is read")


def lively(ada, bob, chat):
    """Bob is seen typing until he has written, and whether he is there."""
    ada.watch([bob.user])
    until([ada, bob], lambda: ada.is_online(bob.user), "the other side is there")

    def seen():
        bob.typing(ada.user)
        return ada.is_typing(chat, bob.user)

    until([ada, bob], seen, "the other side is seen typing")
    expect(not bob.is_typing(chat, ada.user), "only who types is seen typing")
    bob.drop()
    until([ada], lambda: not ada.is_online(bob.user), "the other side has gone")
    expect(ada.online[bob.user]["last_seen"] > 0, "it is known since when")
    until([ada, bob], lambda: ada.is_online(bob.user), "the other side is back")
    refused(lambda: ada.ask("presence", {"users": [str(n) for n in range(1, 258)]}), "bad_request", "too many at once")
    refused(lambda: ada.ask("typing", {"to": "1"}), "unknown_recipient", "typing to nobody")


def pages(gateway, client, chat, written, reaction):
    """Archive may be a moment behind: pages are read again until the newest message is on them."""
    message_id, reacted = reaction
    deadline = time.monotonic() + WAIT
    while True:
        page = client.page_back(chat, limit=7)
        there = next((m.get("reactions") for m in page if m["id"] == message_id), None)
        if ([m["text"] for m in page] == written and there == reacted) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    expect([m["text"] for m in page] == written, f"pages hold it once and in order: {[m['text'] for m in page]}")
    expect(there == reacted, f"pages show the reaction: {there}")
    ids = [int(m["id"]) for m in page]
    expect(ids == sorted(set(ids)), "pages ascend by id")
    around = client.page(chat, around=page[20]["id"], limit=5)["messages"]
    expect(page[20]["id"] in [m["id"] for m in around] and len(around) == 5, "a page around a message")
    after = client.page(chat, after=page[20]["id"], limit=3)["messages"]
    expect([m["id"] for m in after] == [m["id"] for m in page[21:24]], "a page after a message")
    path = f"/v1/chats/{urllib.parse.quote(chat)}/messages?limit=7"
    over_http = http(gateway, "GET", path, token=client.s["tokens"]["access_token"], tls=tls())
    expect(over_http["messages"] == page[-7:], "a page over HTTP is the page of the socket")


def new_device(gateway, folder, name, bob, chat, written):
    """A device without a position is told `reset`, reads pages and goes on from there."""
    tablet = log_in(gateway, folder, name, "tablet")
    until([tablet], lambda: tablet.synced, "a new device is synced")
    tablet.page_back(chat)
    expect(len(tablet.s["messages"]) == 1, "a new device knows its one chat")
    expect(texts(tablet, chat) == written, "a new device shows it once and in order")
    bob.send(tablet.user, "welcome")
    tablet.send(bob.user, "thanks")
    written += ["welcome", "thanks"]
    settle([tablet, bob], chat, len(written), "a new device sends and receives")
    expect(sorted(texts(tablet, chat)) == sorted(written), "a new device goes on")
    expect(texts(tablet, chat) == texts(bob, chat), "a new device shows the same as the other side")
    tablet.close()
    return texts(bob, chat)


def bad_input(gateway, ada, bob):
    empty = ada.send(bob.user, "")
    until([ada], lambda: not ada.is_unconfirmed(empty), "the refusal of an empty text")
    expect(ada.failed and ada.failed[-1][1] == "empty_text", f"an empty text is refused: {ada.failed}")
    nobody = ada.send("1", "is anybody there?")
    until([ada], lambda: not ada.is_unconfirmed(nobody), "the refusal of a send to nobody")
    expect(ada.failed[-1][1] == "unknown_recipient", f"a send to nobody is refused: {ada.failed}")
    ada.failed.clear()
    refused(lambda: ada.ask("hello", {"token": "x", "device": "1"}), "hello_again", "a second hello")
    refused(lambda: ada.ask("shout", {}), "unknown_operation", "an unknown operation")
    refused(lambda: ada.ask("history", {"chat": ada.chat_with(bob.user), "cursor": "AAAA"}), "invalid_cursor", "a cursor that was made up")
    refused(lambda: ada.ask("history", {"chat": "direct:1:2"}), "unknown_chat", "somebody else's chat")
    refused(lambda: http(gateway, "GET", "/v1/me", tls=tls()), "invalid_token", "no token")
    refused(lambda: Client.register(gateway, "Not A Name", PASSWORD, tls()), "invalid_user_name", "a bad user name")
    refused(lambda: Client.register(gateway, ada.name, PASSWORD, tls()), "user_name_taken", "a user name twice")


def check(gateway, folder):
    ready(gateway)
    suffix = os.urandom(6).hex()
    names = [f"ada_{suffix}", f"bob_{suffix}"]
    for name in names:
        Client.register(gateway, name, PASSWORD, tls())
    ada, bob = (log_in(gateway, folder, name, "laptop") for name in names)
    ada.name = names[0]
    expect(ada.find(names[1])["id"] == bob.user, "a user is found by name")
    chat = ada.chat_with(bob.user)
    until([ada, bob], lambda: ada.synced and bob.synced, "both are synced")
    step("connected")
    written = both_ways(ada, bob, chat)
    step("messages both ways")
    killed_in_mid_send(ada, bob, chat, written)
    step("sockets killed in mid-send")
    bob = started_anew(ada, bob, chat, written)
    step("a client started anew")
    slow_reader(ada, bob, chat, written)
    step("a slow reader")
    reaction = changes(ada, bob, chat, written)
    step("changes")
    marks(ada, bob, chat)
    step("marks")
    lively(ada, bob, chat)
    step("typing and presence")
    pages(gateway, ada, chat, written, reaction)
    step("pages")
    ada.close()
    written = new_device(gateway, folder, names[0], bob, chat, written)
    step("a new device")
    settle([ada, bob], chat, len(written), "the first device is back")
    expect(texts(ada, chat) == texts(bob, chat) == written, "all show the same in the end")
    bad_input(gateway, ada, bob)
    step("bad input")
    for client in (ada, bob):
        client.close()


def step(what):
    print(f"ok: {what}", flush=True)


def main():
    global ca
    if len(sys.argv) not in (2, 3):
        print("usage: check.py GATEWAY_URL [CA_FILE]", file=sys.stderr)
        return 2
    ca = sys.argv[2] if len(sys.argv) == 3 else None
    with tempfile.TemporaryDirectory() as folder:
        try:
            check(sys.argv[1], folder)
        except (Failed, Problem, Closed, OSError, TimeoutError) as error:
            print(f"FAILED: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
        except (KeyError, IndexError, ValueError, TypeError) as error:
            print(f"FAILED: an answer is not what the protocol says: {error!r}", file=sys.stderr)
            raise
    print("all is there, once and in order")
    return 0


if __name__ == "__main__":
    sys.exit(main())
