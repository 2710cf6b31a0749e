//! Lines of a file of any size, one at a time.

use std::io::{self, BufRead};

/// No line of the kernel is near as long. What is beyond is dropped.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Reads lines, be they text or not, in bounded memory.
pub struct Lines<R> {
    input: R,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The lines of an input.
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
        }
    }

    /// The next line without its end, and without what is beyond its 65,536th byte.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let mut is_over = true;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            is_over = false;
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len()));
            let room = MAX_LINE_BYTES - self.line.len();
            self.line.extend(part.unwrap_or_default().iter().take(room));
            let read = end.map_or(available.len(), |end| end + 1);
            self.input.consume(read);
            if end.is_some() {
                break;
            }
        }
        Ok((!is_over).then_some(self.line.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a text that arrives in pieces of `size` bytes.
    fn lines(text: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(io::BufReader::with_capacity(size, text));
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            all.push(line.to_vec());
        }
        all
    }

    #[test]
    fn lines_are_the_same_in_whatever_pieces_they_arrive() {
        for size in 1..12 {
            assert_eq!(lines(b"", size), Vec::<Vec<u8>>::new());
            assert_eq!(lines(b"\n\na\n", size), [&b""[..], b"", b"a"]);
            assert_eq!(
                lines(b"one\ntw\xffo\r\n3", size),
                [&b"one"[..], b"tw\xffo\r", b"3"]
            );
        }
    }

    #[test]
    fn of_a_line_without_end_only_its_beginning_is_kept() {
        let mut text = vec![b'x'; 3 * MAX_LINE_BYTES];
        text.extend(b"\nnext\n");
        let lines = lines(&text, 1000);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), MAX_LINE_BYTES);
        assert_eq!(lines[1], b"next");
    }
}
