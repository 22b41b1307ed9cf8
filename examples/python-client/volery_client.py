"""A client of the live protocol, written from docs/protocol.md alone, with the standard library alone.

It speaks volery.v1.json. One thread uses it at a time: `pump` reads what is there, `wait_until` reads
until something is true, everything else sends. Its state lies in one JSON file, replaced atomically.
"""

import json
import os
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

from ws import Closed, WebSocket

EVENTS = {"message", "changed", "marked", "answer"}
BACK_OFF = [0.25, 0.5, 1, 2, 4, 8, 16, 30]
RECONNECT_AT_ONCE = {1001, 4004, 4005, 4008, 4001}
NEVER_RECONNECT = {4002, 4003, 1000, 1002, 1003, 1007, 1009}


class Problem(Exception):
    """An error answer of either door: `code`, `retryable`, and the whole body."""

    def __init__(self, body, retry_after=None):
        super().__init__(f"{body.get('code')}: {body.get('detail') or body.get('message') or body.get('title')}")
        self.code, self.retryable, self.body = body.get("code"), bool(body.get("retryable")), body
        self.retry_after = retry_after


def http(gateway, method, path, body=None, token=None, tls=None):
    """One request to the gateway, by `tls` (an `ssl.SSLContext`) if it is https://; raises Problem for an error answer."""
    request = urllib.request.Request(gateway.rstrip("/") + path, method=method)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(request, timeout=20, context=tls) as answer:
            data = answer.read()
            return json.loads(data) if data else None
    except urllib.error.HTTPError as error:
        data = error.read()
        try:
            problem = json.loads(data)
        except ValueError:
            problem = {"code": f"http_{error.code}", "title": data[:200].decode("utf-8", "replace")}
        raise Problem(problem, error.headers.get("Retry-After")) from None


class State:
    """What a client stores: see the protocol. Written whole, by rename."""

    def __init__(self, path):
        self.path = path
        self.data = {
            "gateway": "", "tokens": {}, "session": "0", "largest_id": "0", "position": None,
            "unconfirmed": [], "messages": {}, "changes": {}, "marks": {}, "undelivered": {},
        }  # fmt: skip
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.data.update(json.load(file))

    def save(self):
        beside = self.path + ".new"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(self.data, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)


class Client:
    def __init__(self, state_path, ca=None):
        """`ca` names a file of authorities, as PEM, that are believed instead of the machine's."""
        self.tls = ssl.create_default_context(cafile=ca)
        self.state = State(state_path)
        self.s = self.state.data
        self.socket = None
        self.address = None
        self.attempts = 0
        self.failed = []
        self.gaps = 0
        self.watched = []
        self.reset_connection()

    # ----- accounts -----

    @staticmethod
    def register(gateway, user_name, password, tls=None):
        fields = {"user_name": user_name, "password": password}
        return http(gateway, "POST", "/v1/register", fields, tls=tls)

    def log_in(self, gateway, user_name, password, device_name="python"):
        fields = {"user_name": user_name, "password": password, "device_name": device_name}
        tokens = http(gateway, "POST", "/v1/login", fields, tls=self.tls)
        self.s.update(gateway=gateway, tokens=tokens)
        self.state.save()

    def refresh(self):
        """New tokens, stored before they are used."""
        fields = {"refresh_token": self.s["tokens"]["refresh_token"]}
        self.s["tokens"] = http(self.s["gateway"], "POST", "/v1/refresh", fields, tls=self.tls)
        self.state.save()

    def find(self, user_name):
        path = "/v1/users/by-name/" + urllib.parse.quote(user_name)
        return http(self.s["gateway"], "GET", path, token=self.s["tokens"]["access_token"], tls=self.tls)

    @property
    def user(self):
        return self.s["tokens"]["user"]

    def chat_with(self, user):
        low, high = sorted((int(self.user), int(user)))
        return f"direct:{low}:{high}"

    def peer_of(self, chat):
        low, high = chat.split(":")[1:]
        return high if low == self.user else low

    # ----- connection -----

    def reset_connection(self):
        self.request, self.number, self.session, self.welcomed = 0, 0, None, None
        self.synced = False
        self.resetting = None
        self.last_event, self.confirmed, self.unconfirmed_bytes, self.unconfirmed_since = 0, 0, 0, None
        self.sweep = False
        self.answers, self.retrying, self.under_way = {}, {}, {}
        self.repeat_at, self.brought_below = {}, 0
        self.ping_at = self.heard = None
        self.session_over = False
        self.online, self.typists, self.typing_said = {}, {}, {}

    def connect(self):
        """Opens a session and retries what is unconfirmed. Raises Closed or Problem."""
        self.reset_connection()
        if self.s["tokens"]["access_expires"] / 1000 < time.time() + 60:
            self.refresh()
        self.socket = WebSocket(self.address or self.s["tokens"]["node"], "volery.v1.json", tls=self.tls)
        hello = {
            "token": self.s["tokens"]["access_token"],
            "device": self.s["tokens"]["device"],
            "previous_session": self.s["session"],
            "largest_id": self.s["largest_id"],
        }
        if self.s["position"]:
            hello["resume"] = self.s["position"]
        welcome = self.ask("hello", hello)
        self.welcomed = time.monotonic()
        self.s["session"] = self.session = welcome["session"]
        self.state.save()
        self.ping_at = time.monotonic() + random.uniform(49.5, 60.5)
        if self.watched:
            self.watch(self.watched)
        for chat in {self.chat_with(send["to"]) for send in self.s["unconfirmed"]}:
            self.retry_next(chat)

    def reconnect(self, deadline):
        """Back-off and connect until it works or the deadline passes."""
        while True:
            longest = BACK_OFF[min(self.attempts, len(BACK_OFF) - 1)]
            self.attempts += 1
            time.sleep(min(random.uniform(0, longest), max(0, deadline - time.monotonic())))
            try:
                return self.connect()
            except (Closed, OSError, TimeoutError, Problem) as error:
                self.drop()
                if time.monotonic() > deadline or not self.may_come_back(error):
                    raise

    def may_come_back(self, error):
        """Looks at how it ended, and prepares for the next attempt."""
        if isinstance(error, Closed):
            if error.number == 4001:
                self.refresh()
            if error.number not in RECONNECT_AT_ONCE:
                self.attempts = max(self.attempts, 2)
            return error.number not in NEVER_RECONNECT
        if isinstance(error, Problem):
            if error.code == "invalid_token":
                self.refresh()
                return True
            if error.code == "invalid_position":
                self.s["position"] = None
                return True
            return error.retryable
        try:
            token = self.s["tokens"]["access_token"]
            self.address = http(self.s["gateway"], "GET", "/v1/node", token=token, tls=self.tls)["address"]
        except (Problem, OSError):
            pass
        return True

    def drop(self):
        if self.socket:
            self.socket.kill()
            self.socket = None

    def close(self):
        if self.socket:
            self.confirm()
            self.socket.close()
            self.socket = None

    # ----- frames -----

    def say(self, operation, body, request=None):
        if request is None:
            self.request += 1
            request = self.request
        frame = json.dumps([operation, request, body], ensure_ascii=False, separators=(",", ":"))
        self.socket.send(frame.encode())
        return request

    def ask(self, operation, body, timeout=20):
        """Says it and waits for its answer; events that come meanwhile are taken."""
        request = self.say(operation, body)
        self.answers[request] = None
        self.wait_until(lambda: self.answers[request], timeout, f"the answer to {operation}")
        name, answer = self.answers.pop(request)
        if name == "error":
            raise Problem(answer)
        return answer

    def wait_until(self, condition, timeout, what):
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not come within {timeout} s")
            self.pump(min(deadline, time.monotonic() + 0.25))

    def pump(self, deadline):
        """Takes frames until one came or the deadline passed; does what is due."""
        self.do_what_is_due()
        try:
            data = self.socket.receive(deadline)
        except TimeoutError:
            return self.do_what_is_due()
        self.heard = time.monotonic()
        operation, number, body = json.loads(data)
        if operation in EVENTS:
            self.event(operation, number, body, len(data))
        elif operation == "synced":
            self.on_synced(body)
        elif operation == "gap":
            self.synced = False
            self.gaps += 1
        elif operation == "reset":
            self.on_reset(body)
        elif operation == "moved":
            self.address = body["address"]
        elif operation == "pong":
            self.store_position(body)
        elif operation == "typing":
            self.typists[body["chat"], body["user"]] = time.monotonic() + 6
        elif operation == "presence":
            self.online.update({present["user"]: present for present in body["users"]})
        elif operation in ("ack", "error") and self.under_way.get(number):
            self.send_answered(number, operation, body)
        if number in self.answers and operation not in EVENTS:
            self.answers[number] = (operation, body)

    # ----- typing and presence: nothing of it is stored -----

    def typing(self, to):
        """The user is writing; call it as often as they do."""
        now = time.monotonic()
        if self.synced and now - self.typing_said.get(to, -3) >= 3:
            self.typing_said[to] = now
            self.say("typing", {"to": to})

    def is_typing(self, chat, user):
        return time.monotonic() < self.typists.get((chat, user), 0)

    def watch(self, users):
        """Whether these are there is told from now on, and of nobody else; in later sessions, too."""
        self.watched, self.online = list(users), {}
        if self.socket and self.session:
            self.say("presence", {"users": self.watched})

    def is_online(self, user):
        return self.online.get(user, {}).get("online", False)

    def do_what_is_due(self):
        now = time.monotonic()
        if self.heard and now - self.heard > 150:
            raise Closed(1006, "the node is silent")
        if self.ping_at and now > self.ping_at:
            self.ping_at = now + random.uniform(49.5, 60.5)
            self.say("ping", {})
            if self.s["tokens"]["access_expires"] / 1000 < time.time() + 120:
                self.refresh()
                self.say("refresh", {"token": self.s["tokens"]["access_token"]})
        frames = self.last_event - self.confirmed
        late = self.unconfirmed_since and now - self.unconfirmed_since > 1
        if frames and (frames >= 16 or self.unconfirmed_bytes >= 16_384 or late):
            self.confirm()
        if self.synced:
            self.repeat_delivered(now)

    def repeat_delivered(self, now):
        """Says again what was not met within 5 s, or before the session began."""
        for chat, mark in self.s["undelivered"].items():
            if now >= self.repeat_at.get(chat, 0) and int(mark["source"]) < self.brought_below:
                self.say("mark", {"chat": chat, "kind": "delivered", **mark})
                self.repeat_at[chat] = now + 5

    def confirm(self, always=False):
        if always or self.last_event > self.confirmed:
            self.state.save()
            self.say("received", {"n": self.last_event})
            self.confirmed, self.unconfirmed_bytes, self.unconfirmed_since = self.last_event, 0, None

    # ----- the stream -----

    def event(self, operation, number, body, size):
        self.last_event = number
        self.unconfirmed_bytes += size
        self.unconfirmed_since = self.unconfirmed_since or time.monotonic()
        {"message": self.on_message, "changed": self.on_changed, "marked": self.on_marked, "answer": self.on_answer}[
            operation
        ](body)
        self.store_position(body)

    def store_position(self, body):
        """In memory with the event; `save` writes both at once."""
        if body.get("position") and self.resetting is None:
            self.s["position"] = body["position"]

    def see(self, *ids):
        self.s["largest_id"] = str(max(int(i) for i in (self.s["largest_id"], *ids) if i))

    def on_synced(self, body):
        if self.resetting is not None:
            return
        self.store_position(body)
        self.brought_below = max(self.brought_below, int(body["below"]))
        self.synced = True
        self.state.save()
        if not self.s["unconfirmed"]:
            self.attempts = 0
        self.confirm(always=self.sweep)
        self.sweep = False

    def on_reset(self, body):
        """Pages first, then the position, then `resume`."""
        self.synced, self.resetting = False, body["position"]
        self.s.update(position=None, messages={}, changes={}, marks={}, undelivered={})
        self.state.save()
        for chat in self.all_chats():
            self.page(chat["chat"])
            peer = self.peer_of(chat["chat"])
            self.merge_mark(chat["chat"], self.user, "read", chat["read"]["source"])
            self.merge_mark(chat["chat"], peer, "read", chat["peer_read"]["source"])
            self.merge_mark(chat["chat"], peer, "delivered", chat["peer_delivered"]["source"])
            if chat.get("newest") and int(chat["newest_incoming"]) > int(chat.get("delivered", {}).get("source", "0")):
                self.expect_delivered(chat["chat"], chat["newest_incoming"], chat["newest"]["id"])
        self.s["position"], self.resetting = self.resetting, None
        self.state.save()
        self.sweep = True
        self.say("resume", {"position": self.s["position"]})

    def on_message(self, message, page=False):
        """Merges a message with what is held of it: of each part the one with the larger change stays."""
        self.typists.pop((message["chat"], message["from"]), None)
        held = self.s["messages"].setdefault(message["chat"], {})
        known = held.get(message["id"])
        fresh = {key: value for key, value in message.items() if key not in ("position", "shown")}
        if known and known.get("deleted"):
            fresh = known
        elif known and not fresh.get("deleted"):
            if int(known.get("edited") or 0) > int(fresh.get("edited") or 0):
                fresh["edited"], fresh["text"] = known["edited"], known["text"]
            for reaction in known.get("reactions", []):
                self.react(fresh, reaction)
        held[message["id"]] = fresh
        reacted = [reaction["change"] for reaction in message.get("reactions", [])]
        self.see(message["id"], message.get("edited"), message.get("deleted"), *reacted)
        if not page and message["from"] != self.user:
            self.brought_below = max(self.brought_below, int(message["source"]) + 1)
            self.expect_delivered(message["chat"], message["source"], message["id"])
        self.apply_changes(message["chat"], message["id"])
        self.met(message.get("key"), message["id"], message["source"])

    def on_changed(self, change):
        self.see(change["change"])
        self.s["changes"].setdefault(f'{change["chat"]} {change["id"]}', []).append(
            {key: value for key, value in change.items() if key != "position"}
        )
        self.apply_changes(change["chat"], change["id"])
        self.met(change.get("key"), change["change"], None)

    def apply_changes(self, chat, message_id):
        """The changes that wait for a message, by the protocol's rules; they go on waiting if it is not held."""
        message = self.s["messages"].get(chat, {}).get(message_id)
        if message is None:
            return
        for change in self.s["changes"].pop(f"{chat} {message_id}", []):
            mine = change["by"] == message["from"]
            if change.get("deleted") and mine:
                message.update(deleted=change["change"], text="", reactions=[])
            elif message.get("deleted"):
                continue
            elif "text" in change and mine and int(change["change"]) > int(message.get("edited") or 0):
                message.update(text=change["text"], edited=change["change"])
            elif "emoji" in change:
                self.react(message, {key: change[key] for key in ("by", "emoji", "change")})

    @staticmethod
    def react(message, reaction):
        """One a user. An empty one stays: an older one must not come back."""
        newest = {r["by"]: r for r in message.get("reactions", [])}
        if int(reaction["change"]) > int(newest.get(reaction["by"], {"change": "0"})["change"]):
            newest[reaction["by"]] = reaction
        message["reactions"] = [newest[by] for by in sorted(newest, key=int)]

    def on_marked(self, mark):
        self.merge_mark(mark["chat"], mark["reader"], mark["kind"], mark["source"])
        expected = self.s["undelivered"].get(mark["chat"])
        if expected and mark["reader"] == self.user and int(mark["source"]) >= int(expected["source"]):
            del self.s["undelivered"][mark["chat"]]
            self.repeat_at.pop(mark["chat"], None)

    def expect_delivered(self, chat, source, message_id):
        """The node marks it by itself; a node that is killed may not. Stored with the position."""
        expected = self.s["undelivered"].setdefault(chat, {"source": "0", "id": "0"})
        expected["source"] = str(max(int(source), int(expected["source"])))
        expected["id"] = str(max(int(message_id), int(expected["id"])))
        self.repeat_at.setdefault(chat, time.monotonic() + 5)

    def merge_mark(self, chat, reader, kind, source):
        key = f"{chat} {reader} {kind}"
        self.s["marks"][key] = str(max(int(source), int(self.s["marks"].get(key, "0"))))

    def status(self, chat, message_id):
        """sent, delivered or read: of one's own message."""
        message = self.s["messages"][chat][message_id]
        peer = self.peer_of(chat)
        at = {kind: int(self.s["marks"].get(f"{chat} {peer} {kind}", "0")) for kind in ("read", "delivered")}
        source = int(message["source"])
        return "read" if at["read"] >= source else "delivered" if at["delivered"] >= source else "sent"

    # ----- sends -----

    def send(self, to, text, **fields):
        return self.send_operation("send", to, {"text": text, **fields})

    def send_operation(self, operation, to, fields):
        """Stores the send, and says it unless its chat waits for retries or there is no session.
        A lost socket is no error here: the send is stored, and goes with the next session."""
        send = {"local": os.urandom(8).hex(), "session": None, "number": 0, "operation": operation, "to": to, "fields": fields}
        self.s["unconfirmed"].append(send)
        if self.socket and not self.session_over and self.chat_with(to) not in self.retrying:
            try:
                self.first_attempt(send)
            except Closed:
                self.drop()
        else:
            self.state.save()
        return send

    def is_unconfirmed(self, send):
        return any(other["local"] == send["local"] for other in self.s["unconfirmed"])

    def first_attempt(self, send):
        """The number is taken when it leaves, so that numbers rise; the key is stored before that."""
        self.number += 1
        send["session"], send["number"] = self.session, self.number
        self.state.save()
        self.transmit(send)

    def transmit(self, send):
        since_welcome = int((time.monotonic() - self.welcomed) * 1000)
        body = {"to": send["to"], "number": send["number"], "since_welcome": since_welcome}
        if send["session"] != self.session:
            body["retry_of"] = send["session"]
        self.request += 1
        self.under_way[self.request] = (send["session"], send["number"])
        self.say(send["operation"], body | send["fields"], self.request)

    def retry_next(self, chat):
        """The oldest retry of a chat; when none is left, what was held back behind them."""
        mine = [send for send in self.s["unconfirmed"] if self.chat_with(send["to"]) == chat]
        retries = [send for send in mine if send["session"] not in (None, self.session)]
        if retries:
            first = min(retries, key=lambda send: (int(send["session"]), send["number"]))
            self.retrying[chat] = (first["session"], first["number"])
            return self.transmit(first)
        self.retrying.pop(chat, None)
        for send in [send for send in mine if send["session"] is None]:
            self.first_attempt(send)

    def send_answered(self, request, operation, body):
        key = self.under_way.pop(request)
        if operation == "ack":
            self.attempts = 0
            return self.confirmed_send(key, body["id"], body["source"])
        if not body["retryable"]:
            return self.final(key, body["code"])
        self.session_over = True
        raise Closed(4004, f"the send was refused for now: {body['code']}")

    def on_answer(self, answer):
        key = (answer["session"], answer["number"])
        self.attempts = 0
        if "id" in answer:
            self.see(answer["id"])
            self.confirmed_send(key, answer["id"], answer.get("source"))
        else:
            self.final(key, answer["error"])
        self.release(key)

    def met(self, key, accepted_id, source):
        if key and key["device"] == self.s["tokens"]["device"]:
            self.confirmed_send((key["session"], key["number"]), accepted_id, source)

    def release(self, key):
        for chat, waiting in list(self.retrying.items()):
            if waiting == key:
                self.retry_next(chat)

    def take_unconfirmed(self, key):
        for send in self.s["unconfirmed"]:
            if (send["session"], send["number"]) == key:
                self.s["unconfirmed"].remove(send)
                return send
        return None

    def final(self, key, code):
        """It was never written and never will be: for the user to see."""
        self.take_unconfirmed(key)
        self.failed.append((key, code))
        self.state.save()
        self.release(key)

    def confirmed_send(self, key, accepted_id, source):
        """Our own send is not told to us: what it did is applied here."""
        send = self.take_unconfirmed(key)
        self.see(accepted_id)
        if send is None:
            return
        chat, fields = self.chat_with(send["to"]), send["fields"]
        common = {"chat": chat, "key": {"device": self.s["tokens"]["device"], "session": key[0], "number": key[1]}}
        if send["operation"] == "send":
            held = self.s["messages"].setdefault(chat, {})
            held.setdefault(accepted_id, {**common, **fields, "id": accepted_id, "from": self.user, "source": source})
            self.apply_changes(chat, accepted_id)
        else:
            change = {"chat": chat, "id": fields["id"], "change": accepted_id, "by": self.user}
            change |= {"delete": {"deleted": True}, "unreact": {"emoji": ""}}.get(send["operation"], {})
            change |= {name: fields[name] for name in ("text", "emoji") if name in fields}
            self.s["changes"].setdefault(f'{chat} {fields["id"]}', []).append(change)
            self.apply_changes(chat, fields["id"])
        self.state.save()

    def mark_read(self, chat):
        """The source of the newest incoming message that the stream has come to, and the largest id up to there."""
        held = self.s["messages"].get(chat, {}).values()
        incoming = [m for m in held if m["from"] != self.user and int(m["source"]) < self.brought_below]
        if incoming:
            source = str(max(int(m["source"]) for m in incoming))
            self.say("mark", {"chat": chat, "source": source, "id": str(max(int(m["id"]) for m in incoming))})

    # ----- pages -----

    def page(self, chat, **where):
        page = self.ask("history", {"chat": chat, **where})
        for message in page["messages"]:
            self.on_message(message, page=True)
        return page

    def page_back(self, chat, limit=50):
        """All of a chat's history, newest page first, as one ascending list."""
        page = self.page(chat, limit=limit)
        messages = page["messages"]
        while page.get("older"):
            page = self.page(chat, cursor=page["older"], limit=limit)
            messages = page["messages"] + messages
        return messages

    def all_chats(self):
        cursor, chats = {}, []
        while True:
            body = self.ask("chats", {"limit": 100, **cursor})
            chats += body["chats"]
            if not body.get("next"):
                return chats
            cursor = {"cursor": body["next"]}

    def messages(self, chat):
        """What is held of a chat, in its order."""
        held = self.s["messages"].get(chat, {})
        return [held[message_id] for message_id in sorted(held, key=int)]
