//! SHA-256 of pictures as they were stored, whatever becomes of them in preprocessing.

use sha2::{Digest as _, Sha256};
use vae_infer::images::{Picture, Pixels};

/// SHA-256 of a picture.
pub(super) type Digest = [u8; 32];

/// SHA-256 of a picture's kind, size and values, whatever this machine's byte order.
pub(super) fn digest(picture: &Picture) -> Digest {
    let mut hasher = Sha256::new();
    match &picture.pixels {
        Pixels::Integer(image) => {
            let color = image.color();
            let depth = color.bytes_per_pixel() / color.channel_count();
            hasher.update([b'u', depth, color.channel_count()]);
            hasher
                .update([image.height().to_le_bytes(), image.width().to_le_bytes()].as_flattened());
            let bytes = image.as_bytes();
            if depth == 1 || cfg!(target_endian = "little") {
                hasher.update(bytes);
            } else {
                bytes.chunks(depth.into()).for_each(|value| {
                    value.iter().rev().for_each(|&byte| hasher.update([byte]));
                });
            }
        }
        Pixels::Float(values) => {
            let (height, width, channels) = values.dim();
            hasher.update([b'f', 4, channels as u8]);
            hasher.update(
                [(height as u32).to_le_bytes(), (width as u32).to_le_bytes()].as_flattened(),
            );
            values.iter().for_each(|v| hasher.update(v.to_le_bytes()));
        }
    }
    hasher.finalize().into()
}

/// SHA-256 of the number of pictures, their digests, and their labels.
pub(super) fn hash<'a>(
    digests: impl ExactSizeIterator<Item = &'a Digest>,
    labels: &[usize],
) -> String {
    let mut hasher = Sha256::new();
    hasher.update((digests.len() as u64).to_le_bytes());
    digests.for_each(|digest| hasher.update(digest));
    labels.iter().for_each(|&label| hasher.update((label as u64).to_le_bytes()));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_number_the_digests_and_the_labels_in_a_row() {
        let digests = [[1; 32], [2; 32]];
        let labels = [7, 300];
        let number = |value: u64| value.to_le_bytes();
        let row = [&number(2)[..], &[1; 32], &[2; 32], &number(7), &number(300)].concat();
        assert_eq!(hash(digests.iter(), &labels), vae_infer::sha256(&row));
    }
}
