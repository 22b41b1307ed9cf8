//! The contract of the log, case by case. Panics with the case that fails; an engine's test calls it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is the body of tests: a broken contract ends them")]

use std::sync::Arc;

use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::log::{AppendError, Appended, Extent, Log, NewRecord, ReadError, Reader};

use super::{random, record};

/// A batch's worth of room for reads.
const MUCH: usize = 1 << 22;

/// Runs every case on an empty log of its own, of at least 3 partitions, made by `factory`.
pub async fn conformance<F: AsyncFnMut() -> Arc<dyn Log>>(mut factory: F) {
    an_empty_log_has_nothing(&*factory().await).await;
    what_is_appended_is_read(&*factory().await).await;
    partitions_are_apart(&*factory().await).await;
    a_record_of_a_mebibyte_is_taken_and_none_larger(&*factory().await).await;
    reads_are_about_as_large_as_asked(&*factory().await).await;
    waiting_ends_with_an_append(factory().await).await;
    appends_at_once_keep_each_batch_in_order(factory().await).await;
    seeking_never_lands_too_late(&*factory().await).await;
    committed_offsets_are_kept_by_reader_and_partition(&*factory().await).await;
    releasing_deletes_nothing_that_it_may_not(&*factory().await).await;
    for seed in 0..4 {
        random(&*factory().await, seed).await;
    }
}

async fn an_empty_log_has_nothing(log: &dyn Log) {
    let none = Extent { start: 0, end: 0 };
    assert!(log.generation() > 0);
    for partition in log.partitions().iter() {
        assert_eq!(log.extent(partition).await, Ok(none));
        assert_eq!(log.committed(Reader::Fanout, partition).await, Ok(0));
        assert_eq!(log.seek(partition, Timestamp(0), 0).await, Ok(0));
        let chunk = log.read(partition, 0, MUCH).await.unwrap();
        assert_eq!((chunk.records.len(), chunk.end), (0, 0));
        assert_eq!(log.read(partition, 1, MUCH).await, Err(ReadError::OutOfRange { asked: 1, extent: none }));
        assert_eq!(log.append(partition, Vec::new()).await, Ok(Vec::new()));
        assert_eq!(log.append_soon(partition, Vec::new()).await, Ok(Vec::new()));
    }
}

async fn what_is_appended_is_read(log: &dyn Log) {
    let records: Vec<_> = (0..10).map(|n| record(n, 100)).collect();
    let mut answers = append(log, 1, &records[..4]).await;
    answers.extend(log.append_soon(Partition(1), records[4..].to_vec()).await.unwrap());
    let offsets: Vec<_> = answers.iter().map(|answer| answer.offset).collect();
    assert_eq!(offsets, (0..10).collect::<Vec<_>>());

    let chunk = log.read(Partition(1), 3, MUCH).await.unwrap();
    assert_eq!(chunk.end, 10);
    for (read, n) in chunk.records.iter().zip(3..) {
        assert_eq!((read.offset, read.stamp, &read.record), (n as u64, answers[n].stamp, &records[n]));
    }
    assert!(!chunk.records.is_empty());
    assert_eq!(log.read(Partition(1), 10, MUCH).await.unwrap().records, Vec::new());
}

async fn partitions_are_apart(log: &dyn Log) {
    for n in 0..30 {
        let answer = append(log, (n % 3) as u16, &[record(n, 50)]).await;
        assert_eq!(answer[0].offset, n / 3);
    }
    let all = read_all(log, 2).await;
    assert_eq!(all, (0..10).map(|n| record(n * 3 + 2, 50)).collect::<Vec<_>>());
    let away = Partition(log.partitions().count());
    assert!(matches!(log.append(away, vec![record(0, 8)]).await, Err(AppendError::Unavailable(_))));
    assert!(matches!(log.read(away, 0, MUCH).await, Err(ReadError::Unavailable(_))));
}

async fn a_record_of_a_mebibyte_is_taken_and_none_larger(log: &dyn Log) {
    let (largest, larger) = (record(1, 1 << 20), record(1, (1 << 20) + 1));
    append(log, 0, std::slice::from_ref(&largest)).await;
    let refused = log.append(Partition(0), vec![record(2, 8), larger]).await;
    assert!(matches!(refused, Err(AppendError::TooLarge(_))), "{refused:?}");
    assert_eq!(read_all(log, 0).await, [largest]);
}

async fn reads_are_about_as_large_as_asked(log: &dyn Log) {
    let records: Vec<_> = (0..100).map(|n| record(n, 1_000)).collect();
    append(log, 0, &records).await;
    assert!(!log.read(Partition(0), 5, 1).await.unwrap().records.is_empty(), "at least one record");
    assert_eq!(read_all(log, 0).await, records);
}

async fn waiting_ends_with_an_append(log: Arc<dyn Log>) {
    let waiter = log.clone();
    let waiting = tokio::spawn(async move { waiter.beyond(Partition(1), 0).await });
    append(&*log, 0, &[record(1, 8)]).await;
    append(&*log, 1, &[record(2, 8), record(3, 8)]).await;
    assert!(waiting.await.unwrap().unwrap() >= 1);
    assert_eq!(log.beyond(Partition(1), 1).await, Ok(2));
    let extent = Extent { start: 0, end: 2 };
    let nowhere = log.beyond(Partition(1), 3).await;
    assert_eq!(nowhere, Err(ReadError::OutOfRange { asked: 3, extent }), "who waits beyond the end waits for ever");
    assert_eq!(read_all(&*log, 1).await.len(), 2);
}

async fn appends_at_once_keep_each_batch_in_order(log: Arc<dyn Log>) {
    let tasks: Vec<_> = (0..16u64)
        .map(|task| {
            let log = log.clone();
            tokio::spawn(async move {
                let records: Vec<_> = (0..8).map(|n| record(task * 100 + n, 60)).collect();
                (append(&*log, 0, &records).await, records)
            })
        })
        .collect();
    let mut sum = 0;
    for task in tasks {
        let (answers, records) = task.await.unwrap();
        assert!(answers.is_sorted_by_key(|answer| answer.offset));
        for (answer, record) in answers.iter().zip(&records) {
            let chunk = log.read(Partition(0), answer.offset, 1).await.unwrap();
            assert_eq!((&chunk.records[0].record, chunk.records[0].stamp), (record, answer.stamp));
            sum += 1;
        }
    }
    assert_eq!(sum, 128);
}

async fn seeking_never_lands_too_late(log: &dyn Log) {
    let mut answers = Vec::new();
    for n in 0..40 {
        answers.extend(append(log, 2, &[record(n, 4_000)]).await);
    }
    for (wanted, below) in answers.iter().flat_map(|answer| [(answer.stamp, 40), (answer.stamp, 20)]) {
        let from = log.seek(Partition(2), wanted, below).await.unwrap();
        let first = answers.iter().find(|answer| answer.stamp >= wanted && answer.offset < below);
        assert!(from <= below && first.is_none_or(|first| from <= first.offset), "{from} for {wanted} below {below}");
    }
    assert_eq!(log.seek(Partition(2), Timestamp(u64::MAX >> 1), 40).await, Ok(40));
}

async fn committed_offsets_are_kept_by_reader_and_partition(log: &dyn Log) {
    append(log, 0, &[record(1, 8), record(2, 8)]).await;
    append(log, 1, &[record(1, 8), record(2, 8)]).await;
    log.commit(Reader::Fanout, Partition(0), 2).await.unwrap();
    log.commit(Reader::Archive, Partition(0), 1).await.unwrap();
    log.commit(Reader::Fanout, Partition(1), 1).await.unwrap();
    assert_eq!(log.committed(Reader::Fanout, Partition(0)).await, Ok(2));
    assert_eq!(log.committed(Reader::Archive, Partition(0)).await, Ok(1));
    assert_eq!(log.committed(Reader::Fanout, Partition(1)).await, Ok(1));
    assert_eq!(log.committed(Reader::Archive, Partition(1)).await, Ok(0));
}

async fn releasing_deletes_nothing_that_it_may_not(log: &dyn Log) {
    let records: Vec<_> = (0..60).map(|n| record(n, 2_000)).collect();
    let mut answers: Vec<Appended> = Vec::new();
    for record in &records {
        answers.extend(append(log, 0, std::slice::from_ref(record)).await);
    }
    log.release(Partition(0), 60, Timestamp(0)).await.unwrap();
    assert_eq!(log.extent(Partition(0)).await, Ok(Extent { start: 0, end: 60 }), "all of it is too young");
    log.release(Partition(0), 40, Timestamp(u64::MAX >> 1)).await.unwrap();
    let Extent { start, end } = log.extent(Partition(0)).await.unwrap();
    assert!(start <= 40 && end == 60, "{start}..{end}");
    assert_eq!(read_all(log, 0).await, records[start as usize..]);
    if start > 0 {
        let gone = log.read(Partition(0), start - 1, MUCH).await;
        assert!(matches!(gone, Err(ReadError::OutOfRange { .. })), "{gone:?}");
    }
}

async fn append(log: &dyn Log, partition: u16, records: &[NewRecord]) -> Vec<Appended> {
    let answers = log.append(Partition(partition), records.to_vec()).await;
    answers.unwrap_or_else(|error| panic!("an append to {partition} failed: {error}"))
}

async fn read_all(log: &dyn Log, partition: u16) -> Vec<NewRecord> {
    let partition = Partition(partition);
    let mut all = Vec::new();
    let mut next = log.extent(partition).await.unwrap().start;
    loop {
        let chunk = log.read(partition, next, 10_000).await.unwrap();
        if chunk.records.is_empty() {
            assert_eq!(chunk.end, next, "nothing is read only at the end");
            return all;
        }
        for stored in chunk.records {
            assert_eq!(stored.offset, next, "offsets are contiguous");
            next += 1;
            all.push(stored.record);
        }
    }
}
