//! Text to rows: words stay together where they fit, nothing is lost, control characters are shown
//! and never reach the terminal.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// Rows of at most `width` columns (at least 2).
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    text.split('\n').flat_map(|line| wrap_line(&clean(line), width)).collect()
}

fn wrap_line(line: &str, width: usize) -> Vec<String> {
    let (mut rows, mut row, mut wide) = (Vec::new(), String::new(), 0);
    for word in line.split_word_bounds() {
        let needs = word.width();
        if wide + needs > width && wide > 0 && !word.trim().is_empty() && needs <= width {
            rows.push(std::mem::take(&mut row));
            wide = 0;
        }
        for grapheme in word.graphemes(true) {
            let needs = grapheme.width();
            if wide + needs > width {
                rows.push(std::mem::take(&mut row));
                wide = 0;
            }
            row.push_str(grapheme);
            wide += needs;
        }
    }
    rows.push(row);
    rows
}

/// What may be written to a terminal: whatever could move its cursor or turn the direction of the
/// text around is made visible.
pub(crate) fn clean(text: &str) -> String {
    let visible = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '�',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '�',
        c => c,
    };
    text.chars().map(visible).collect()
}

/// At most `width` columns of the text, cut with an ellipsis.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let text = clean(&text.replace('\n', " "));
    if text.width() <= width {
        return text;
    }
    let (mut cut, mut wide) = (String::new(), 1);
    for grapheme in text.graphemes(true) {
        wide += grapheme.width();
        if wide > width {
            break;
        }
        cut.push_str(grapheme);
    }
    if width > 0 { cut + "…" } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_stay_together() {
        assert_eq!(wrap("hello wide world\n\nx", 8), ["hello ", "wide ", "world", "", "x"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("\u{1b}[31mred", 20), ["�[31mred"]);
        assert_eq!(cut("hello world", 8), "hello w…");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(text in "\\PC{0,60}", width in 2usize..30) {
            let rows = wrap(&text, width);
            prop_assert_eq!(rows.concat(), clean(&text));
            prop_assert!(rows.iter().all(|row| row.width() <= width || row.graphemes(true).count() == 1));
            prop_assert!(cut(&text, width).width() <= width);
        }
    }
}
