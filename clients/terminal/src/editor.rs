//! The text that is being written: several lines, a cursor that never stands inside a character as
//! people see it (a grapheme), and no more bytes than a message may have.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;
use volery_kernel::limits;

/// See the module. The cursor is a byte offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Editor {
    text: String,
    cursor: usize,
}

impl Editor {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes the text, and is empty then.
    pub(crate) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Begins anew with a text, the cursor behind it.
    pub(crate) fn set(&mut self, text: &str) {
        self.text.clear();
        self.cursor = 0;
        self.insert(text);
    }

    /// Inserts what was typed or pasted. False if it does not fit: then nothing is inserted.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    ");
        let text: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
        if self.text.len() + text.len() > limits::TEXT_BYTES.value {
            return false;
        }
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
        true
    }

    fn before(&self) -> usize {
        self.text[..self.cursor].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.text[self.cursor..].graphemes(true).next().map_or(self.cursor, |grapheme| self.cursor + grapheme.len())
    }

    pub(crate) fn left(&mut self) {
        self.cursor = self.before();
    }

    pub(crate) fn right(&mut self) {
        self.cursor = self.after();
    }

    pub(crate) fn backspace(&mut self) {
        let from = self.before();
        self.text.replace_range(from..self.cursor, "");
        self.cursor = from;
    }

    pub(crate) fn delete(&mut self) {
        self.text.replace_range(self.cursor..self.after(), "");
    }

    /// Removes the word before the cursor.
    pub(crate) fn delete_word(&mut self) {
        let head = self.text[..self.cursor].trim_end();
        let from =
            head.rfind(char::is_whitespace).map_or(0, |at| at + head[at..].chars().next().map_or(0, char::len_utf8));
        self.text.replace_range(from..self.cursor, "");
        self.cursor = from;
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    pub(crate) fn home(&mut self) {
        self.cursor = self.line_start();
    }

    pub(crate) fn end(&mut self) {
        self.cursor = self.line_end();
    }

    /// One line up; false on the first line.
    pub(crate) fn up(&mut self) -> bool {
        let (start, column) = (self.line_start(), self.column());
        if start == 0 {
            return false;
        }
        self.cursor = start - 1;
        let above = self.line_start();
        self.cursor = above + at_column(&self.text[above..start - 1], column);
        true
    }

    /// One line down; false on the last line.
    pub(crate) fn down(&mut self) -> bool {
        let (end, column) = (self.line_end(), self.column());
        if end == self.text.len() {
            return false;
        }
        self.cursor = end + 1;
        let line = &self.text[end + 1..self.line_end()];
        self.cursor = end + 1 + at_column(line, column);
        true
    }

    fn column(&self) -> usize {
        self.text[self.line_start()..self.cursor].width()
    }

    /// The text in rows of at most `width` columns, and where the cursor stands: row and column.
    pub(crate) fn rows(&self, width: usize) -> (Vec<String>, (usize, usize)) {
        let width = width.max(2);
        let (mut rows, mut at) = (vec![String::new()], (0, 0));
        let mut column = 0;
        for (offset, grapheme) in self.text.grapheme_indices(true) {
            let wide = grapheme.width();
            if grapheme != "\n" && column + wide > width {
                rows.push(String::new());
                column = 0;
            }
            if offset == self.cursor {
                at = (rows.len() - 1, column);
            }
            if grapheme == "\n" {
                rows.push(String::new());
                column = 0;
            } else if let Some(row) = rows.last_mut() {
                row.push_str(grapheme);
                column += wide;
            }
        }
        if self.cursor == self.text.len() {
            if column >= width {
                rows.push(String::new());
                column = 0;
            }
            at = (rows.len() - 1, column);
        }
        (rows, at)
    }
}

/// The byte offset in a line at which `column` columns are to the left.
fn at_column(line: &str, column: usize) -> usize {
    let mut wide = 0;
    for (offset, grapheme) in line.grapheme_indices(true) {
        if wide >= column {
            return offset;
        }
        wide += grapheme.width();
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_edit_what_they_see() {
        let mut editor = Editor::default();
        assert!(editor.insert("né 👩‍👩‍👧 x"));
        editor.left();
        editor.left();
        editor.backspace();
        assert_eq!(editor.text(), "né  x");
        editor.set("one two  ");
        editor.delete_word();
        assert_eq!(editor.text(), "one ");
        editor.set("first\r\nsecond line\tx\u{7}");
        assert_eq!(editor.text(), "first\nsecond line    x");
        assert!(editor.up() && !editor.up());
        editor.insert("!");
        assert_eq!(editor.text(), "first!\nsecond line    x");
        assert!(editor.down());
        assert!(!editor.insert(&"x".repeat(limits::TEXT_BYTES.value)));
    }

    #[test]
    fn rows_are_as_wide_as_the_screen() {
        let mut editor = Editor::default();
        editor.insert("abcdef\n漢字かな");
        assert_eq!(editor.rows(5), (vec!["abcde".into(), "f".into(), "漢字".into(), "かな".into()], (3, 4)));
    }

    proptest! {
        /// No sequence of keys puts the cursor where it cannot be.
        #[test]
        fn keys_never_panic(keys in prop::collection::vec((0u8..12, "\\PC{0,3}|\n"), 0..60), width in 1usize..20) {
            let mut editor = Editor::default();
            for (key, text) in keys {
                match key {
                    0..=3 => { editor.insert(&text); }
                    4 => editor.left(),
                    5 => editor.right(),
                    6 => editor.backspace(),
                    7 => editor.delete(),
                    8 => editor.delete_word(),
                    9 => { editor.up(); }
                    10 => { editor.down(); }
                    _ => editor.home(),
                }
                prop_assert!(editor.text.is_char_boundary(editor.cursor));
                let (rows, (row, column)) = editor.rows(width);
                prop_assert!(row < rows.len() && column <= width.max(2));
            }
        }
    }
}
