//! Which rows of a conversation are on the screen. What a person looks at stays where it is, whatever
//! comes above or below; who stands at the end follows it.

use crate::transcript::{Row, RowKey};

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scroll {
    /// At the end.
    #[default]
    End,
    /// This row of this message is the first one on the screen.
    Top(RowKey, usize),
}

impl Scroll {
    /// The first row on a screen of `height` rows.
    pub(crate) fn start(self, rows: &[Row], height: usize) -> usize {
        let last = rows.len().saturating_sub(height);
        match self {
            Self::End => last,
            Self::Top(key, row) => {
                let first = rows.iter().position(|held| held.key == key);
                first.map_or(last, |first| (first + row).min(last))
            }
        }
    }

    /// Moves by rows, up if `by` is negative.
    pub(crate) fn moved(self, rows: &[Row], height: usize, by: isize) -> Self {
        Self::at(rows, height, self.start(rows, height).saturating_add_signed(by))
    }

    /// The screen begins with this row.
    pub(crate) fn at(rows: &[Row], height: usize, start: usize) -> Self {
        match rows.get(start).filter(|_| start + height < rows.len()) {
            Some(row) => {
                let first = rows.iter().position(|held| held.key == row.key).unwrap_or(start);
                Self::Top(row.key, start - first)
            }
            None => Self::End,
        }
    }

    /// The least movement that brings all of `key` onto the screen.
    pub(crate) fn showing(self, rows: &[Row], height: usize, key: RowKey) -> Self {
        let start = self.start(rows, height);
        let Some(first) = rows.iter().position(|row| row.key == key) else { return self };
        let end = first + rows[first..].iter().take_while(|row| row.key == key).count();
        match () {
            () if first < start => Self::at(rows, height, first),
            () if end > start + height => Self::at(rows, height, end.saturating_sub(height)),
            () => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::text::Line;
    use volery_kernel::id::Id;

    fn rows(ids: impl IntoIterator<Item = u64>) -> Vec<Row> {
        let row = |id| {
            let key = RowKey::Message(Id::new(id).unwrap());
            [false, true].map(|last| Row { key, line: Line::raw(""), last })
        };
        ids.into_iter().flat_map(row).collect()
    }

    fn message(id: u64) -> RowKey {
        RowKey::Message(Id::new(id).unwrap())
    }

    #[test]
    fn the_end_is_followed_and_the_past_stays() {
        let held = rows(1..=10);
        assert_eq!(Scroll::End.start(&held, 6), 14);
        let up = Scroll::End.moved(&held, 6, -5);
        assert_eq!(up, Scroll::Top(message(5), 1));
        assert_eq!(up.start(&rows(1..=12), 6), 9);
        assert_eq!(up.start(&rows(0..=10), 6), 11);
        assert_eq!(up.moved(&held, 6, 5), Scroll::End);
        assert_eq!(up.moved(&held, 6, -99), Scroll::Top(message(1), 0));
        assert_eq!(Scroll::Top(message(99), 0).start(&held, 6), 14);
    }

    #[test]
    fn what_is_chosen_is_brought_onto_the_screen() {
        let held = rows(1..=10);
        assert_eq!(Scroll::End.showing(&held, 6, message(9)), Scroll::End);
        assert_eq!(Scroll::End.showing(&held, 6, message(3)), Scroll::Top(message(3), 0));
        assert_eq!(Scroll::Top(message(1), 0).showing(&held, 6, message(4)), Scroll::Top(message(2), 0));
    }
}
