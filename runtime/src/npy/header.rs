//! What stands in front of an array's elements: a Python dictionary of their type, order and shape.
//!
//! [The format](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html) in its versions 1, 2 and 3.

use std::io;

use super::Element;

/// The first bytes of every `.npy` file.
pub const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header that is read; NumPy's own are shorter than 1 KiB.
pub(super) const MAX_BYTES: usize = 64 << 10;

/// The most axes of an array, which are NumPy's.
const MAX_AXES: usize = 64;

/// Elements begin at a multiple of this.
const ALIGNMENT: usize = 64;

/// The digits that NumPy leaves room for in the first axis of a shape, so that an array can grow.
const GROWTH: usize = 21;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Kind and size in bytes of an element, as `f4`.
    pub(super) kind: String,
    /// Whether the bytes of an element lie the other way round than this machine has them.
    pub(super) swapped: bool,
    /// Whether the first axis, and not the last, is that of neighbours in the file.
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    /// Reads the header of a file, and gives what follows it.
    pub(super) fn read(file: &[u8]) -> Result<(Self, &[u8]), String> {
        let file = file.strip_prefix(MAGIC).ok_or("it does not begin as one")?;
        let (length, rest) = match *file {
            [1, 0, a, b, ref rest @ ..] => (u16::from_le_bytes([a, b]) as usize, rest),
            [2 | 3, 0, a, b, c, d, ref rest @ ..] => {
                (u32::from_le_bytes([a, b, c, d]) as usize, rest)
            }
            _ => return Err("its header is cut short or of an unknown version".into()),
        };
        if length > rest.len() {
            return Err(format!("its header declares {length} bytes and is cut short"));
        }
        if length > MAX_BYTES {
            return Err(format!("its header of {length} bytes is too long"));
        }
        let (dictionary, elements) = rest.split_at(length);
        Ok((Self::parse(dictionary)?, elements))
    }

    /// The bytes of an element of a kind that is known here.
    pub(super) fn size(&self) -> Option<usize> {
        match &*self.kind {
            "b1" | "i1" | "u1" => Some(1),
            "i2" | "u2" => Some(2),
            "i4" | "u4" | "f4" => Some(4),
            "i8" | "f8" => Some(8),
            _ => None,
        }
    }

    /// The bytes of all elements, where a memory could hold them.
    pub(super) fn declared(&self) -> Option<usize> {
        // An array with an axis of 0 has no elements, and its other axes are held within memory all the same.
        let mut axes = self.shape.iter().filter(|&&d| d > 0);
        let within = axes.try_fold(self.size()?, |bytes, &axis| bytes.checked_mul(axis));
        let bytes = within.filter(|&bytes| bytes <= isize::MAX as usize)?;
        Some(if self.shape.contains(&0) { 0 } else { bytes })
    }

    /// The bytes in front of an array of version 1, as NumPy writes them: their number is the same for every length of
    /// the first axis.
    pub(super) fn write<A: Element>(shape: &[usize]) -> io::Result<Vec<u8>> {
        if shape.len() > MAX_AXES {
            return Err(io::Error::other("an array of too many dimensions"));
        }
        let order = match size_of::<A>() {
            1 => '|',
            _ if cfg!(target_endian = "little") => '<',
            _ => '>',
        };
        let axes: Vec<_> = shape.iter().map(usize::to_string).collect();
        let comma = if shape.len() == 1 { "," } else { "" };
        let room = GROWTH.saturating_sub(axes.first().map_or(GROWTH, String::len));
        let dictionary = format!(
            "{{'descr': '{order}{}', 'fortran_order': False, 'shape': ({}{comma}), }}{:room$}",
            A::KIND,
            axes.join(", "),
            "",
        );
        let before = MAGIC.len() + 4;
        let whole = (before + dictionary.len() + 1) / ALIGNMENT * ALIGNMENT + ALIGNMENT;
        let length = (whole - before) as u16;
        let mut bytes = [MAGIC, &[1, 0], &length.to_le_bytes(), dictionary.as_bytes()].concat();
        bytes.resize(whole - 1, b' ');
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn parse(dictionary: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(dictionary).map_err(|_| "its header is not text")?;
        let mut literal = Literal(text);
        let (mut element, mut fortran, mut shape) = (None, None, None);
        literal.expect('{')?;
        while !literal.took('}') {
            let key = literal.string()?;
            literal.expect(':')?;
            match key {
                "descr" => {
                    element = Some(literal.string().map_err(|_| "its elements are records")?)
                }
                "fortran_order" => fortran = Some(literal.truth()?),
                "shape" => shape = Some(literal.shape()?),
                _ => return Err(wrong()),
            }
            if !literal.took(',') {
                literal.expect('}')?;
                break;
            }
        }
        literal.end()?;
        let element = element.ok_or_else(wrong)?;
        let kind = element.strip_prefix(['<', '>', '|', '=']).unwrap_or(element);
        let other = if cfg!(target_endian = "little") { '>' } else { '<' };
        Ok(Self {
            kind: kind.to_owned(),
            swapped: element.starts_with(other),
            fortran: fortran.ok_or_else(wrong)?,
            shape: shape.ok_or_else(wrong)?,
        })
    }
}

/// What is left to read of a Python literal.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn took(&mut self, token: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, token: char) -> Result<(), String> {
        if self.took(token) { Ok(()) } else { Err(wrong()) }
    }

    fn end(&self) -> Result<(), String> {
        if self.0.trim().is_empty() { Ok(()) } else { Err(wrong()) }
    }

    /// A string without escapes: no key and no element has one.
    fn string(&mut self) -> Result<&'a str, String> {
        let quote = ['"', '\''].into_iter().find(|&quote| self.took(quote)).ok_or_else(wrong)?;
        let (string, rest) = self.0.split_once(quote).ok_or_else(wrong)?;
        self.0 = rest;
        Ok(string)
    }

    fn truth(&mut self) -> Result<bool, String> {
        match self.word() {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => Err(wrong()),
        }
    }

    /// A tuple of lengths. Python 2 wrote an `L` behind large ones.
    fn shape(&mut self) -> Result<Vec<usize>, String> {
        self.expect('(')?;
        let mut shape = vec![];
        while !self.took(')') {
            let word = self.word();
            let length = word.strip_suffix('L').unwrap_or(word);
            if shape.len() == MAX_AXES {
                return Err(format!("its shape has more than {MAX_AXES} axes"));
            }
            shape.push(length.parse().map_err(|_| wrong())?);
            if !self.took(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }

    /// The letters and digits that come next, if any do.
    fn word(&mut self) -> &'a str {
        let text = self.0.trim_start();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        word
    }
}

fn wrong() -> String {
    "its header is not a dictionary of `descr`, `fortran_order` and `shape`".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest file with this dictionary.
    fn file(dictionary: &str) -> Vec<u8> {
        let length = (dictionary.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, dictionary.as_bytes(), b"elements"].concat()
    }

    #[test]
    fn what_python_may_write_is_read() {
        let fortran = |kind: &str, shape: &[usize]| Header {
            kind: kind.into(),
            swapped: kind == "i8",
            fortran: true,
            shape: shape.to_vec(),
        };
        for (dictionary, expected) in [
            ("{'descr':'|u1','fortran_order':True,'shape':()}", fortran("u1", &[])),
            (
                " {\"shape\" : (3L,) ,\n'fortran_order': True, 'descr': '>i8', }  \n",
                fortran("i8", &[3]),
            ),
            (
                "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 0, 28,), }",
                fortran("f4", &[2, 0, 28]),
            ),
        ] {
            let file = file(dictionary);
            assert_eq!(Header::read(&file), Ok((expected, &b"elements"[..])), "{dictionary}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let whole = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
        for end in 0..whole.len() {
            assert!(Header::read(&file(&whole[..end])).is_err(), "{end}");
        }
        let many = format!("({})", "1, ".repeat(65));
        for (part, other) in [
            ("'<f4'", "[('a', '<f4')]"),
            ("False", "0"),
            ("(3, 4)", "[3, 4]"),
            ("(3, 4)", "3"),
            ("(3, 4)", "(-3, 4)"),
            ("(3, 4)", "(3 4)"),
            ("(3, 4)", "(3, 18446744073709551616)"),
            ("(3, 4)", many.as_str()),
            ("<f4'", "<f4"),
            ("'shape'", "'form'"),
            ("'shape'", "'descr'"),
            (", }", ", } + 1"),
        ] {
            assert!(Header::read(&file(&whole.replace(part, other))).is_err(), "{other}");
        }
    }

    /// As `numpy.lib.format.write_array_header_1_0` of NumPy 2.4 writes them.
    #[test]
    fn headers_are_those_of_numpy() {
        for (shape, length, written) in [
            (&[][..], 128, "()"),
            (&[3], 128, "(3,)"),
            (&[1_000_000, 28, 28, 1], 128, "(1000000, 28, 28, 1)"),
            (&[3, 1, 1, 1, 1, 1, 1, 1], 128, "(3, 1, 1, 1, 1, 1, 1, 1)"),
            (&[usize::MAX, 8], 128, "(18446744073709551615, 8)"),
            (&[7; 16], 192, "(7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7)"),
        ] {
            let bytes = Header::write::<f32>(shape).expect("few axes");
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {written}, }}");
            assert_eq!(bytes.len(), length, "{shape:?}");
            assert_eq!(&bytes[10..10 + text.len()], text.as_bytes());
            let (header, rest) = Header::read(&bytes).expect("what was written");
            assert_eq!((&header.shape[..], header.fortran, rest.len()), (shape, false, 0));
        }
        assert!(Header::write::<f32>(&[1; 64]).is_ok());
        assert!(Header::write::<f32>(&[1; 65]).is_err());
    }
}
