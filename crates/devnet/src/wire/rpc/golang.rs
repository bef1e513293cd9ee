//! What clients see of the node's language: escaped text, and words for JSON that is none.

use std::fmt::Write;

/// Escapes `<`, `>`, `&` and the line separators, as Go's JSON does. In JSON they occur only inside texts.
pub(super) fn escape(json: String) -> String {
    let special = |character: char| matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    if !json.contains(special) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        if special(character) {
            write!(escaped, "\\u{:04x}", u32::from(character)).expect("writing to a string cannot fail");
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Nesting beyond which JSON is refused.
const DEPTH_MAX: usize = 128;

/// Returns what is wrong with the syntax of some JSON, in Go's words; nothing when the syntax is right.
pub(super) fn json_problem(bytes: &[u8]) -> Option<String> {
    let mut scanner = Scanner { bytes, at: 0, depth: 0 };
    let checked = scanner.value("looking for beginning of value").and_then(|()| {
        scanner.spaces();
        match scanner.peek() {
            None => Ok(()),
            Some(byte) => Err(invalid(byte, "after top-level value")),
        }
    });
    checked.err()
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

fn invalid(byte: u8, place: &str) -> String {
    let shown = match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b' '..=b'~' | 0x80.. => format!("'{}'", char::from(byte)),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        _ => format!(r"'\x{byte:02x}'"),
    };
    format!("invalid character {shown} {place}")
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.peek().ok_or_else(|| "unexpected end of JSON input".to_owned())?;
        self.at += 1;
        Ok(byte)
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self, place: &str) -> Result<(), String> {
        self.spaces();
        match self.next()? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' => match self.next()? {
                b'0'..=b'9' => self.number(),
                byte => Err(invalid(byte, "in numeric literal")),
            },
            b'0'..=b'9' => self.number(),
            byte => Err(invalid(byte, place)),
        }
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<(), String>) -> Result<(), String> {
        if self.depth == DEPTH_MAX {
            return Err("exceeded max depth".to_owned());
        }
        self.depth += 1;
        inner(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn object(&mut self) -> Result<(), String> {
        self.spaces();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.spaces();
            match self.next()? {
                b'"' => self.string()?,
                byte => return Err(invalid(byte, "looking for beginning of object key string")),
            }
            self.spaces();
            match self.next()? {
                b':' => self.value("looking for beginning of value")?,
                byte => return Err(invalid(byte, "after object key")),
            }
            self.spaces();
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                byte => return Err(invalid(byte, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self) -> Result<(), String> {
        self.spaces();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value("looking for beginning of value")?;
            self.spaces();
            match self.next()? {
                b',' => {}
                b']' => return Ok(()),
                byte => return Err(invalid(byte, "after array element")),
            }
        }
    }

    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.next()?;
                            if !byte.is_ascii_hexdigit() {
                                return Err(invalid(byte, r"in \u hexadecimal character escape"));
                            }
                        }
                    }
                    byte => return Err(invalid(byte, "in string escape code")),
                },
                byte if byte < 0x20 => return Err(invalid(byte, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for expected in word.chars().skip(1) {
            let byte = self.next()?;
            if char::from(byte) != expected {
                return Err(invalid(byte, &format!("in literal {word} (expecting '{expected}')")));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        let digits = |scanner: &mut Self| {
            while matches!(scanner.peek(), Some(b'0'..=b'9')) {
                scanner.at += 1;
            }
        };
        digits(self);
        if self.peek() == Some(b'.') {
            self.at += 1;
            match self.next()? {
                b'0'..=b'9' => digits(self),
                byte => return Err(invalid(byte, "after decimal point in numeric literal")),
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            match self.next()? {
                b'0'..=b'9' => digits(self),
                byte => return Err(invalid(byte, "in exponent of numeric literal")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_json_is_named_in_the_words_of_the_node() {
        for (text, problem) in [
            ("{bad json", "invalid character 'b' looking for beginning of object key string"),
            ("", "unexpected end of JSON input"),
            ("hello", "invalid character 'h' looking for beginning of value"),
            (r#"{"a":1"#, "unexpected end of JSON input"),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (r#"{"a":1 "b"}"#, "invalid character '\"' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("trie", "invalid character 'i' in literal true (expecting 'u')"),
            ("-x", "invalid character 'x' in numeric literal"),
        ] {
            assert_eq!(json_problem(text.as_bytes()).as_deref(), Some(problem), "{text}");
        }
        assert_eq!(json_problem(br#"{"id":1,"params":{"a":["b",1.5e3,null]}}"#), None);
    }

    #[test]
    fn text_is_escaped_for_pages() {
        assert_eq!(escape(r#"{"a":"<b>&"}"#.to_owned()), r#"{"a":"\u003cb\u003e\u0026"}"#);
    }
}
