//! Texts that people write: names and addresses, in any script.

/// Why a text is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing but blanks.
    #[error("it is empty")]
    Empty,
    /// More characters than it may have.
    #[error("it has more than {characters_max} characters")]
    TooLong {
        /// The most it may have.
        characters_max: usize,
    },
    /// A character that stands for no letter or sign.
    #[error("it has a control character")]
    Control,
    /// No `@` between two parts.
    #[error("an e-mail address is written like name@example.com")]
    NoEmail,
}

/// A text of one line.
///
/// # Errors
/// [`Error`].
pub fn line(text: &str, characters_max: usize) -> Result<String, Error> {
    check(text, characters_max, |_| false)
}

/// A text that may have several lines.
///
/// # Errors
/// [`Error`].
pub fn lines(text: &str, characters_max: usize) -> Result<String, Error> {
    check(text, characters_max, |character| character == '\n')
}

/// An e-mail address. Whether anybody reads what is sent there, only sending shows; so all that is
/// asked of it is something on both sides of an `@`, and no blanks.
///
/// # Errors
/// [`Error`].
pub fn email(text: &str, characters_max: usize) -> Result<String, Error> {
    let email = line(text, characters_max)?;
    let parts = email.rsplit_once('@');
    let is_email = parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if is_email && !email.contains(char::is_whitespace) { Ok(email) } else { Err(Error::NoEmail) }
}

fn check(text: &str, characters_max: usize, is_allowed: fn(char) -> bool) -> Result<String, Error> {
    if text.trim().is_empty() {
        return Err(Error::Empty);
    }
    if text.chars().count() > characters_max {
        return Err(Error::TooLong { characters_max });
    }
    if text.contains(|character: char| character.is_control() && !is_allowed(character)) {
        return Err(Error::Control);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_be_in_any_script_and_is_counted_in_characters() {
        assert_eq!(line("Žluťoučký 株式会社", 14), Ok("Žluťoučký 株式会社".to_owned()));
        assert_eq!(line("abcd", 3), Err(Error::TooLong { characters_max: 3 }));
        for blank in ["", " ", "\u{3000}"] {
            assert_eq!(line(blank, 3), Err(Error::Empty));
        }
    }

    #[test]
    fn only_a_text_of_several_lines_may_break() {
        assert_eq!(lines("1 Street\nTown", 20), Ok("1 Street\nTown".to_owned()));
        assert_eq!(line("1 Street\nTown", 20), Err(Error::Control));
        assert_eq!(lines("a\0b", 20), Err(Error::Control));
    }

    #[test]
    fn an_email_has_something_on_both_sides() {
        assert!(email("ada@example.com", 254).is_ok());
        for text in ["ada", "@example.com", "ada@", "ada @example.com"] {
            assert_eq!(email(text, 254), Err(Error::NoEmail), "{text}");
        }
    }
}
