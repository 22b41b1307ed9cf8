//! Whether a log is the one that was archived: asked before anything is read on from an archived place.
//!
//! A log may be restored to an older state, made anew under its name, or lose its newest records. Trap
//! avoided: such a log has records at the archived offsets again, sooner or later, and whoever goes on by
//! offsets alone mixes two histories. The id of the record tells them apart.

use volery_kernel::position::{Offset, Position};
use volery_ports::log::{Extent, Log, ReadError};

/// How a log contradicts what was archived of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// It lost records, or was restored, or made anew.
    #[error("offset {offset} was archived, and the log ends at {end}")]
    Shorter {
        /// The last that was archived.
        offset: Offset,
        /// Where it ends.
        end: Offset,
    },
    /// It lost records and took others since.
    #[error("offset {offset} holds another record than the one that was archived")]
    OtherRecord {
        /// The last that was archived.
        offset: Offset,
    },
    /// A later log was read before.
    #[error("generation {archived} was archived, and the log is of generation {log}")]
    OlderGeneration {
        /// What was archived.
        archived: u16,
        /// What there is.
        log: u16,
    },
    /// The timeline is older than the log reaches back: records were deleted that it lacks.
    #[error(
        "records are archived below offset {archived}, and the log begins at {start}: those between are in neither"
    )]
    Trimmed {
        /// One past the last that was archived.
        archived: Offset,
        /// The first that is kept.
        start: Offset,
    },
}

/// How the log of a partition contradicts what was archived last of it; `None` if it does not.
///
/// # Errors
/// The log's.
pub async fn disagreement(log: &dyn Log, archived: Position) -> Result<Option<Disagreement>, ReadError> {
    let extent = log.extent(archived.partition).await?;
    let generation = archived.source.generation();
    if generation > log.generation() {
        return Ok(Some(Disagreement::OlderGeneration { archived: generation, log: log.generation() }));
    }
    let last = last_archived(log, archived);
    Ok(match (from_extent(last, extent), last) {
        (None, Some(offset)) if offset >= extent.start => {
            let chunk = log.read(archived.partition, offset, 1).await?;
            // The place is before the end: a log that has nothing there has not heard of it yet.
            let Some(stored) = chunk.records.into_iter().next() else {
                return Err(ReadError::Unavailable(format!("nothing is heard of offset {offset} yet")));
            };
            (crate::id_of(stored) != archived.id).then_some(Disagreement::OtherRecord { offset })
        }
        (found, _) => found,
    })
}

/// Whether the log begins above what was archived; less than [`disagreement`] asks, and cheaper: no record is read.
///
/// # Errors
/// The log's.
pub async fn trimmed(log: &dyn Log, archived: Position) -> Result<Option<Disagreement>, ReadError> {
    let extent = log.extent(archived.partition).await?;
    let found = from_extent(last_archived(log, archived), extent);
    Ok(found.filter(|found| matches!(found, Disagreement::Trimmed { .. })))
}

/// The last offset of this generation that was archived.
fn last_archived(log: &dyn Log, archived: Position) -> Option<Offset> {
    (archived.source.generation() == log.generation()).then(|| archived.source.offset())
}

/// What the log's extent says, if `archived` is the last that was archived of this generation.
fn from_extent(archived: Option<Offset>, extent: Extent) -> Option<Disagreement> {
    let next = archived.map_or(0, |offset| offset + 1);
    match archived {
        Some(offset) if offset >= extent.end => Some(Disagreement::Shorter { offset, end: extent.end }),
        _ if next < extent.start => Some(Disagreement::Trimmed { archived: next, start: extent.start }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_extent_alone_tells() {
        let extent = Extent { start: 5, end: 9 };
        assert_eq!(from_extent(Some(8), extent), None);
        assert_eq!(from_extent(Some(9), extent), Some(Disagreement::Shorter { offset: 9, end: 9 }));
        assert_eq!(from_extent(Some(4), extent), None, "the next one is the first that is kept");
        assert_eq!(from_extent(Some(3), extent), Some(Disagreement::Trimmed { archived: 4, start: 5 }));
        assert_eq!(from_extent(None, extent), Some(Disagreement::Trimmed { archived: 0, start: 5 }));
        assert_eq!(from_extent(None, Extent { start: 0, end: 0 }), None);
    }
}
