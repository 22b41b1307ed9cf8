//! Who in a process listens to what: the part of a bus that all engines share. A value without I/O; an engine
//! keeps it under a lock and learns from each change which topics it must ask for, and which no more.
//!
//! Trap avoided: two ears on one topic are one subscription of the engine, and it ends with the second.

use std::collections::HashMap;

use super::{Heard, News, Topic};

/// Names an ear; never used twice.
pub type EarId = u64;

/// See the module.
#[derive(Default)]
pub struct Hub {
    newest: EarId,
    ears: HashMap<EarId, Heard>,
    topics: HashMap<Topic, Vec<EarId>>,
}

impl Hub {
    /// An ear that follows nothing.
    pub fn listen(&mut self, heard: Heard) -> EarId {
        self.newest += 1;
        self.ears.insert(self.newest, heard);
        self.newest
    }

    /// The ear ends. Answers with the topics that nobody follows any more.
    pub fn end(&mut self, ear: EarId) -> Vec<Topic> {
        self.ears.remove(&ear);
        let followed: Vec<_> =
            self.topics.iter().filter(|(_, ears)| ears.contains(&ear)).map(|(topic, _)| *topic).collect();
        self.leave(ear, &followed)
    }

    /// Answers with those of the topics that nobody followed before.
    pub fn follow(&mut self, ear: EarId, topics: &[Topic]) -> Vec<Topic> {
        let first = topics.iter().copied().filter(|topic| {
            let ears = self.topics.entry(*topic).or_default();
            let is_first = ears.is_empty();
            if !ears.contains(&ear) {
                ears.push(ear);
            }
            is_first
        });
        first.collect()
    }

    /// Answers with those of the topics that nobody follows any more.
    pub fn leave(&mut self, ear: EarId, topics: &[Topic]) -> Vec<Topic> {
        let last = topics.iter().copied().filter(|topic| {
            let Some(ears) = self.topics.get_mut(topic) else { return false };
            ears.retain(|other| *other != ear);
            let is_last = ears.is_empty();
            if is_last {
                self.topics.remove(topic);
            }
            is_last
        });
        last.collect()
    }

    /// Everything that somebody follows.
    #[must_use]
    pub fn topics(&self) -> Vec<Topic> {
        self.topics.keys().copied().collect()
    }

    /// Whether somebody follows it.
    #[must_use]
    pub fn is_followed(&self, topic: Topic) -> bool {
        self.topics.contains_key(&topic)
    }

    /// Tells those who follow the topic.
    pub fn tell(&self, topic: Topic, news: News) {
        let ears = self.topics.get(&topic).into_iter().flatten();
        ears.filter_map(|ear| self.ears.get(ear)).for_each(|heard| heard(news));
    }

    /// Tells everybody.
    pub fn tell_all(&self, news: News) {
        self.ears.values().for_each(|heard| heard(news));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use volery_kernel::slot::Partition;

    use super::*;

    #[test]
    fn a_topic_is_asked_for_once_and_ends_with_its_last_ear() {
        let (mut hub, count) = (Hub::default(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        let heard: Heard = Arc::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let (one, other) = (hub.listen(Arc::clone(&heard)), hub.listen(heard));
        let (a, b) = (Topic::Typing(Partition(1)), Topic::Typing(Partition(2)));
        assert_eq!(hub.follow(one, &[a, b, a]), [a, b]);
        assert_eq!(hub.follow(other, &[a]), []);
        let told = |hub: &Hub, topic| {
            hub.tell(topic, News::Anew);
            count.swap(0, Ordering::Relaxed)
        };
        assert_eq!((told(&hub, a), told(&hub, b)), (2, 1), "once each, however often it was followed");
        assert_eq!(hub.leave(one, &[a]), []);
        assert_eq!((told(&hub, a), hub.is_followed(a)), (1, true));
        assert_eq!(hub.end(other), [a]);
        assert_eq!((told(&hub, a), hub.topics()), (0, vec![b]));
        assert_eq!(hub.leave(other, &[a, b]), [], "what one does not follow one cannot leave");
        hub.tell_all(News::Anew);
        assert_eq!((count.load(Ordering::Relaxed), hub.end(one)), (1, vec![b]));
    }
}
