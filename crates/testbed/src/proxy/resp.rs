//! Where one message of RESP ends and the next begins, in versions 2 and 3.

use bytes::{Bytes, BytesMut};

/// Takes the first whole message from `bytes`, as it is on the wire; `None` while it is not whole.
pub(super) fn message(bytes: &mut BytesMut) -> Option<Bytes> {
    let length = end(bytes, 0)?;
    Some(bytes.split_to(length).freeze())
}

/// Returns the words of a command, which is an array of strings, or a line as people type it.
pub(super) fn words(command: &Bytes) -> Vec<Bytes> {
    let Some((count, mut at)) = header(command, 0).filter(|_| command.starts_with(b"*")) else {
        let line = command.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        return line.map(|word| command.slice_ref(word)).collect();
    };
    let mut words = Vec::new();
    for _ in 0..count.unwrap_or_default() {
        let Some((Some(length), start)) = header(command, at) else { break };
        let stop = start + length;
        words.push(command.slice(start..stop));
        at = stop + 2;
    }
    words
}

/// Returns the text of a string; `None` for whatever else a reply is.
pub(super) fn text(reply: &Bytes) -> Option<Bytes> {
    let (Some(length), start) = header(reply, 0).filter(|_| reply.starts_with(b"$"))? else { return None };
    Some(reply.slice(start..start + length))
}

/// Returns where the message that starts at `at` ends.
fn end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'$' | b'!' | b'=' => {
            let (length, start) = header(bytes, at)?;
            let stop = length.map_or(start, |length| start + length + 2);
            (stop <= bytes.len()).then_some(stop)
        }
        b'*' | b'~' | b'>' => many(bytes, at, 1),
        b'%' => many(bytes, at, 2),
        // Attributes come before the message that they belong to.
        b'|' => end(bytes, many(bytes, at, 2)?),
        _ => line(bytes, at),
    }
}

fn many(bytes: &[u8], at: usize, each: usize) -> Option<usize> {
    let (count, mut at) = header(bytes, at)?;
    for _ in 0..count.unwrap_or_default() * each {
        at = end(bytes, at)?;
    }
    Some(at)
}

/// Returns the number in a header such as `$12` and where the next byte is; -1 is no number.
fn header(bytes: &[u8], at: usize) -> Option<(Option<usize>, usize)> {
    let stop = line(bytes, at)?;
    let number = std::str::from_utf8(bytes.get(at + 1..stop - 2)?).ok()?;
    Some((number.parse().ok(), stop))
}

fn line(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    rest.windows(2).position(|two| two == b"\r\n").map(|length| at + length + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(whole: &str) {
        for length in 0..whole.len() {
            let mut part = BytesMut::from(&whole.as_bytes()[..length]);
            assert_eq!(message(&mut part), None, "{length} bytes of {whole:?} are taken for a message");
            assert_eq!(part.len(), length);
        }
        let mut two = BytesMut::from(format!("{whole}+OK\r\n").as_str());
        assert_eq!(message(&mut two).as_deref(), Some(whole.as_bytes()));
        assert_eq!(&two[..], b"+OK\r\n");
    }

    #[test]
    fn messages_of_both_versions_end_where_they_end() {
        for whole in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":-7\r\n",
            "$5\r\na\r\nbc\r\n",
            "$0\r\n\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
            "_\r\n",
            "#t\r\n",
            ",1.5\r\n",
            "(12345678901234567890\r\n",
            "!3\r\nERR\r\n",
            "=7\r\ntxt:abc\r\n",
            "~2\r\n:1\r\n:2\r\n",
            "%1\r\n+a\r\n*1\r\n:1\r\n",
            ">2\r\n+message\r\n$1\r\nx\r\n",
            "|1\r\n+ttl\r\n:3\r\n$1\r\nx\r\n",
        ] {
            check(whole);
        }
    }

    #[test]
    fn commands_are_arrays_or_lines() {
        let words = |command: &str| -> Vec<String> {
            let words = words(&Bytes::from(command.to_owned()));
            words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
        };
        assert_eq!(words("*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n"), ["GET", "a\r\nb"]);
        assert_eq!(words("SET  a b\r\n"), ["SET", "a", "b"]);
    }
}
