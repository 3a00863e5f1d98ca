//! Words that are left neither in files nor in the latest commit message.
//!
//! The list below is the only place where they stand, so this file is not searched.

use crate::violation::Violation;

/// The file that holds the list.
pub const LIST: &str = ".ci/tidy/src/words.rs";

const UNFINISHED: &str = "finish it now, or leave it out";
const SELF_CONTAINED: &str = "say the thing itself: readers have only what is in this repository";
const ANY_MACHINE: &str = "name no place that exists on one machine only";

/// A word and what to do instead. A word in small letters is found in any case.
const WORDS: &[(&str, &str)] = &[
    ("TODO", UNFINISHED),
    ("FIXME", UNFINISHED),
    ("XXX", UNFINISHED),
    ("HACK", UNFINISHED),
    ("WIP", UNFINISHED),
    ("todo!", UNFINISHED),
    ("unimplemented!", UNFINISHED),
    ("#[ignore", "a test runs or is deleted"),
    ("as requested", SELF_CONTAINED),
    ("as discussed", SELF_CONTAINED),
    ("the brief", SELF_CONTAINED),
    ("/home/", ANY_MACHINE),
    ("/root/", ANY_MACHINE),
    ("/work/", ANY_MACHINE),
];

/// Banned words in `text`, which stands at `path` (or is called so: "commit message").
pub fn banned_words(path: &str, text: &str) -> Vec<Violation> {
    (1..)
        .zip(text.lines())
        .flat_map(|(number, line)| {
            let found = WORDS.iter().filter(move |(word, _)| contains(line, word));
            found.map(move |(word, advice)| (number, word, advice))
        })
        .map(|(number, word, advice)| {
            Violation::new(path, number, format!("found `{word}`: {advice}"))
        })
        .collect()
}

fn contains(line: &str, word: &str) -> bool {
    let line = if word.chars().any(char::is_uppercase) {
        line.to_owned()
    } else {
        line.to_ascii_lowercase()
    };
    line.match_indices(word).any(|(start, _)| stands_alone(&line, start, start + word.len()))
}

/// Whether no letter or digit continues the word on either side.
fn stands_alone(line: &str, start: usize, end: usize) -> bool {
    let joined = |left: Option<char>, right: Option<char>| {
        left.is_some_and(char::is_alphanumeric) && right.is_some_and(char::is_alphanumeric)
    };
    let (before, word, after) = (&line[..start], &line[start..end], &line[end..]);
    !joined(before.chars().next_back(), word.chars().next())
        && !joined(word.chars().next_back(), after.chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        banned_words("README.md", text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_banned_word_is_found_with_its_line_and_advice() {
        assert_eq!(
            found("fine\nTODO: more"),
            ["README.md:2: found `TODO`: finish it now, or leave it out"]
        );
    }

    #[test]
    fn every_word_of_the_list_is_found_alone_and_in_brackets() {
        for (word, _) in WORDS {
            assert_eq!(found(word).len(), 1, "{word}");
            assert_eq!(found(&format!("// ({word})")).len(), 1, "{word}");
        }
    }

    #[test]
    fn a_part_of_a_longer_word_is_not_meant() {
        assert_eq!(found("HACKING SWIP; the briefing; todo = \"warn\""), [""; 0]);
    }

    #[test]
    fn a_phrase_is_found_at_the_start_of_a_sentence_too() {
        assert_eq!(found("As discussed, it is empty.").len(), 1);
    }
}
