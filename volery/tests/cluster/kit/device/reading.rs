//! What a device reads: until it is synced, pages, the chat list.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use volery_wire::op::ServerOp;

use super::super::wait_for;
use super::{Device, http, number, text_of};

impl Device {
    /// Until `synced`; after a `reset` by way of the pages, as the document says.
    pub(crate) fn sync(&mut self) {
        let first = self.wait("synced or reset", |heard| matches!(heard.op, ServerOp::Synced | ServerOp::Reset));
        if first.op == ServerOp::Synced {
            return;
        }
        self.read_everything();
        self.position = Some(first.body["position"].clone());
        self.ask("resume", json!({"position": first.body["position"]}));
        self.wait("synced after reset", |heard| heard.op == ServerOp::Synced);
        self.confirm();
    }

    fn read_everything(&mut self) {
        for chat in self.chats() {
            self.pages(chat["chat"].as_str().expect("a chat"), 50);
        }
    }

    /// The whole chat list.
    pub(crate) fn chats(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut body = json!({"limit": 20});
        loop {
            let page = self.call("chats", body.clone());
            assert_eq!(page.op, ServerOp::ChatList, "{page:?}");
            all.extend(page.body["chats"].as_array().expect("chats").iter().cloned());
            match page.body.get("next") {
                Some(next) => body["cursor"] = next.clone(),
                None => return all,
            }
        }
    }

    /// One chat of the list.
    pub(crate) fn chat(&mut self, chat: &str) -> Option<Value> {
        self.chats().into_iter().find(|other| other["chat"] == chat)
    }

    /// All messages of a chat from its pages, by ascending id; none twice.
    pub(crate) fn pages(&mut self, chat: &str, limit: u64) -> Vec<Value> {
        let mut pages = Vec::new();
        let mut body = json!({"chat": chat, "limit": limit});
        loop {
            let page = self.call("history", body);
            assert_eq!(page.op, ServerOp::Page, "{page:?}");
            pages.push(page.body["messages"].as_array().expect("messages").clone());
            let Some(older) = page.body.get("older") else { break };
            body = json!({"chat": chat, "limit": limit, "cursor": older});
        }
        let all: Vec<Value> = pages.into_iter().rev().flatten().collect();
        let ids: Vec<u64> = all.iter().map(|message| number(&message["id"])).collect();
        assert_eq!(
            ids,
            ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>(),
            "ascending, once"
        );
        all
    }

    /// The pages, once they hold this many messages.
    pub(crate) fn pages_of(&mut self, chat: &str, count: usize) -> Vec<Value> {
        wait_for(&format!("{count} messages on the pages"), || {
            Some(self.pages(chat, 100)).filter(|messages| messages.len() >= count)
        })
    }

    /// The same pages over HTTP.
    pub(crate) fn pages_over_http(&self, chat: &str) -> Vec<Value> {
        let mut pages = Vec::new();
        let mut path = format!("/v1/chats/{chat}/messages?limit=100");
        loop {
            let page = self.http("GET", &path).good();
            pages.push(page["messages"].as_array().expect("messages").clone());
            let Some(older) = page.get("older").and_then(Value::as_str) else { break };
            path = format!("/v1/chats/{chat}/messages?limit=100&cursor={older}");
        }
        pages.into_iter().rev().flatten().collect()
    }

    /// A request to the gateway with this device's token.
    pub(crate) fn http(&self, method: &str, path: &str) -> http::Answer {
        http::request(&self.addresses().gateway, method, path, Some(&self.token), None).expect("the gateway answers")
    }

    /// The name of a chat with somebody, or with oneself.
    pub(crate) fn chat_with(&self, other: u64) -> String {
        format!("direct:{}:{}", self.user.min(other), self.user.max(other))
    }

    /// The texts held of a chat, in its order.
    pub(crate) fn texts(&self, chat: &str) -> Vec<String> {
        let held = self.held.get(chat);
        held.into_iter().flat_map(BTreeMap::values).map(|message| text_of(message).to_owned()).collect()
    }
}
