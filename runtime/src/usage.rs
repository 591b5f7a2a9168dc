//! What is said in one line: a refused command line, and a message of several.

/// Makes one line of what a parser of command lines prints in several: the error, what it lists, and its
/// tip, or where help is, as a hint.
///
/// `text` is the parser's message: paragraphs with empty lines between them, of which the first is the
/// error, those that begin with `tip:` advise, and `Usage:` begins what `--help` shows.
pub fn one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| joined(paragraph).trim().to_owned());
    let mut paragraphs = paragraphs.filter(|paragraph| !paragraph.is_empty());
    let error = paragraphs.next().unwrap_or_default();
    let tip = paragraphs.find_map(|paragraph| paragraph.strip_prefix("tip: ").map(str::to_owned));
    format!("{error} (hint: {})", tip.as_deref().unwrap_or("--help shows what it takes"))
}

/// The lines of a message in one, which a cause or a file's name may have broken it into.
pub fn joined(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_lists_and_tips_become_one_line() {
        let usage = "Usage: tool --far <RATE>\n\nFor more information, try '--help'.\n";
        let missing = format!(
            "error: the following required arguments were not provided:\n  --far <RATE>\n  \
             <IMAGES>...\n\n{usage}"
        );
        assert_eq!(
            one_line(&missing),
            "error: the following required arguments were not provided: --far <RATE> <IMAGES>... \
             (hint: --help shows what it takes)"
        );
        let unknown = format!(
            "error: unexpected argument '--fra' found\n\n  tip: a similar argument exists: '--far'\n\n{usage}"
        );
        assert_eq!(
            one_line(&unknown),
            "error: unexpected argument '--fra' found (hint: a similar argument exists: '--far')"
        );
    }
}
