//! A word inside the program that says whether a model was put behind it, so that a copy which lost its
//! end is not taken for a program without one.

use std::hint::black_box;

/// The word: what it begins with, and `no` or `yes`.
static MARK: [u8; 27] = *b"vae-infer model inside: no ";
/// The two ends of what the word begins with. Together they would be found in the program themselves.
const BEGIN: [&[u8]; 2] = [b"vae-infer model", b" inside: "];
const YES: &[u8; 3] = b"yes";

/// Whether a model was put behind the program that is running.
pub(super) fn set() -> bool {
    black_box(&MARK).ends_with(YES)
}

/// Marks a program's content; one that is not ours has no word, and stays as it is.
pub(super) fn mark(program: &mut [u8]) {
    let begin = BEGIN.concat();
    let size = begin.len() + YES.len();
    let ends = |place: &[u8]| place.ends_with(b"no ") || place.ends_with(YES);
    let places = program.windows(size).enumerate();
    let words = places.filter(|(_, place)| place.starts_with(&begin) && ends(place));
    for at in words.map(|(at, _)| at).collect::<Vec<_>>() {
        program[at + begin.len()..at + size].copy_from_slice(YES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_marked_once_and_for_all() {
        assert!(!set() && MARK.starts_with(&BEGIN.concat()));
        let mut program =
            [b"code ", &MARK[..], b" more", b"vae-infer model inside: maybe"].concat();
        mark(&mut program);
        let marked = program.clone();
        assert!(program.starts_with(b"code vae-infer model inside: yes more"));
        assert!(program.ends_with(b"maybe"));
        mark(&mut program);
        assert_eq!(program, marked);
    }
}
