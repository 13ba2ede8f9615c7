//! Messages as text, for scripts: `Bind "portal" "statement" "1" NULL` and its bytes.

use bytes::{BufMut, BytesMut};

/// One word of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// As it stands: a name or a number.
    Bare(String),
    /// In quotes, its escapes resolved. A letter before the quotes is its field in an ErrorResponse.
    Quoted(Option<u8>, Vec<u8>),
}

/// The bytes of the message that `text` names, header included.
///
/// # Panics
/// When there is no such message or its arguments are not as expected: the script is wrong.
pub fn encode(text: &str) -> Vec<u8> {
    let words = words(text);
    let [Word::Bare(name), arguments @ ..] = &words[..] else { panic!("no message: {text}") };
    let mut body = Body { out: BytesMut::new(), rest: arguments.iter(), line: text };
    let tag = body.fill(name);
    assert!(body.rest.next().is_none(), "more arguments than {name} has: {text}");
    let Some(tag) = tag else { return body.out.to_vec() };
    let mut frame = vec![tag];
    frame.put_u32(body.out.len() as u32 + 4);
    frame.extend_from_slice(&body.out);
    frame
}

struct Body<'a> {
    out: BytesMut,
    rest: std::slice::Iter<'a, Word>,
    line: &'a str,
}

impl Body<'_> {
    /// Writes the body of the message `name`; returns its type, `None` for bytes without a frame.
    fn fill(&mut self, name: &str) -> Option<u8> {
        let tag = match name {
            "Bytes" => {
                self.bytes();
                return None;
            }
            // From the client.
            "Query" => self.strings(b'Q', 1),
            "Parse" => self.parse(),
            "Bind" => self.bind(),
            "DescribeStatement" => self.target(b'D', b'S'),
            "DescribePortal" => self.target(b'D', b'P'),
            "CloseStatement" => self.target(b'C', b'S'),
            "ClosePortal" => self.target(b'C', b'P'),
            "Execute" => {
                self.string();
                self.int();
                b'E'
            }
            "Sync" => b'S',
            "Flush" => b'H',
            "Terminate" => b'X',
            "CopyFail" => self.strings(b'f', 1),
            // From either side.
            "CopyData" => {
                self.bytes();
                b'd'
            }
            "CopyDone" => b'c',
            // From the server.
            "ParseComplete" => b'1',
            "BindComplete" => b'2',
            "CloseComplete" => b'3',
            "NoData" => b'n',
            "PortalSuspended" => b's',
            "EmptyQueryResponse" => b'I',
            "CommandComplete" => self.strings(b'C', 1),
            "ParameterStatus" => self.strings(b'S', 2),
            "ReadyForQuery" => {
                let status = self.bare();
                self.out.extend_from_slice(status.as_bytes());
                b'Z'
            }
            "ParameterDescription" => {
                self.oids();
                b't'
            }
            "RowDescription" => self.row_description(),
            "DataRow" => {
                self.values();
                b'D'
            }
            "CopyInResponse" => self.copy_response(b'G'),
            "CopyOutResponse" => self.copy_response(b'H'),
            "ErrorResponse" => self.fields(b'E'),
            "NoticeResponse" => self.fields(b'N'),
            "NotificationResponse" => {
                self.int();
                self.strings(b'A', 2)
            }
            _ => panic!("no such message: {}", self.line),
        };
        Some(tag)
    }

    fn next(&mut self) -> &Word {
        self.rest.next().unwrap_or_else(|| panic!("an argument is missing: {}", self.line))
    }

    fn bare(&mut self) -> String {
        match self.next().clone() {
            Word::Bare(word) => word,
            Word::Quoted(..) => panic!("a bare word is expected: {}", self.line),
        }
    }

    fn int(&mut self) {
        let value: i32 = self.bare().parse().unwrap_or_else(|_| panic!("a number is expected: {}", self.line));
        self.out.put_i32(value);
    }

    fn bytes(&mut self) -> usize {
        let Word::Quoted(None, bytes) = self.next().clone() else { panic!("a string is expected: {}", self.line) };
        self.out.extend_from_slice(&bytes);
        bytes.len()
    }

    fn string(&mut self) {
        self.bytes();
        self.out.put_u8(0);
    }

    fn strings(&mut self, tag: u8, count: usize) -> u8 {
        (0..count).for_each(|_| self.string());
        tag
    }

    fn target(&mut self, tag: u8, kind: u8) -> u8 {
        self.out.put_u8(kind);
        self.string();
        tag
    }

    fn oids(&mut self) {
        self.out.put_i16(self.rest.len() as i16);
        while self.rest.len() > 0 {
            self.int();
        }
    }

    fn parse(&mut self) -> u8 {
        self.strings(b'P', 2);
        self.oids();
        b'P'
    }

    /// Parameters in text to results in text.
    fn bind(&mut self) -> u8 {
        self.strings(b'B', 2);
        self.out.put_i16(0);
        self.values();
        self.out.put_i16(0);
        b'B'
    }

    /// All that is left, each with its length.
    fn values(&mut self) {
        self.out.put_i16(self.rest.len() as i16);
        while self.rest.len() > 0 {
            match self.next().clone() {
                Word::Bare(null) if null == "NULL" => self.out.put_i32(-1),
                Word::Quoted(None, bytes) => {
                    self.out.put_i32(bytes.len() as i32);
                    self.out.extend_from_slice(&bytes);
                }
                _ => panic!("a string or NULL is expected: {}", self.line),
            }
        }
    }

    /// Columns `"name" oid`, in text, of no table and unknown size.
    fn row_description(&mut self) -> u8 {
        self.out.put_i16((self.rest.len() / 2) as i16);
        while self.rest.len() > 0 {
            self.string();
            self.out.put_u32(0);
            self.out.put_i16(0);
            self.int();
            self.out.put_i16(-1);
            self.out.put_i32(-1);
            self.out.put_i16(0);
        }
        b'T'
    }

    /// Text, with so many columns.
    fn copy_response(&mut self, tag: u8) -> u8 {
        let columns: i16 = self.bare().parse().expect("a number of columns");
        self.out.put_u8(0);
        self.out.put_i16(columns);
        (0..columns).for_each(|_| self.out.put_i16(0));
        tag
    }

    /// `S"ERROR" C"42601" M"message"`, in this order; `V` is put in as `S` is.
    fn fields(&mut self, tag: u8) -> u8 {
        while self.rest.len() > 0 {
            let Word::Quoted(Some(kind), value) = self.next().clone() else {
                panic!("a field is expected: {}", self.line)
            };
            let kinds: &[u8] = if kind == b'S' { b"SV" } else { &[kind] };
            for kind in kinds {
                self.out.put_u8(*kind);
                self.out.extend_from_slice(&value);
                self.out.put_u8(0);
            }
        }
        self.out.put_u8(0);
        tag
    }
}

fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find([' ', '"']).unwrap_or(rest.len());
        if rest[end..].starts_with('"') {
            assert!(end <= 1, "what stands before the quotes: {text}");
            let kind = rest.bytes().next().filter(|_| end == 1);
            let (bytes, tail) = quoted(&rest[end + 1..], text);
            words.push(Word::Quoted(kind, bytes));
            rest = tail.trim_start();
        } else {
            words.push(Word::Bare(rest[..end].to_owned()));
            rest = rest[end..].trim_start();
        }
    }
    words
}

/// The bytes up to the closing quotes, repeated as often as `*N` behind them says, and what follows.
fn quoted<'a>(text: &'a str, line: &str) -> (Vec<u8>, &'a str) {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    let end = loop {
        match chars.next() {
            Some((at, '"')) => break at + 1,
            Some((_, '\\')) => match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => bytes.push(b'\n'),
                Some('t') => bytes.push(b'\t'),
                Some('0') => bytes.push(0),
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).map(|(_, digit)| digit).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).unwrap_or_else(|_| panic!("two hex digits: {line}")));
                }
                Some(other) => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
                None => panic!("the quotes are not closed: {line}"),
            },
            Some((_, other)) => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            None => panic!("the quotes are not closed: {line}"),
        }
    };
    let rest = &text[end..];
    let Some(times) = rest.strip_prefix('*') else { return (bytes, rest) };
    let digits = times.find(|c: char| !c.is_ascii_digit()).unwrap_or(times.len());
    let count = times[..digits].parse().unwrap_or_else(|_| panic!("a number of times: {line}"));
    (bytes.repeat(count), &times[digits..])
}

#[test]
fn messages_of_every_shape() {
    assert_eq!(encode("Sync"), b"S\0\0\0\x04");
    assert_eq!(encode(r#"Query "SELECT 'a\x42'" "#), b"Q\0\0\0\x10SELECT 'aB'\0");
    assert_eq!(encode(r#"Parse "s" "x" 23"#), b"P\0\0\0\x0es\0x\0\0\x01\0\0\0\x17");
    assert_eq!(encode(r#"Bind "" "s" "12" NULL"#), b"B\0\0\0\x17\0s\0\0\0\0\x02\0\0\0\x0212\xff\xff\xff\xff\0\0");
    assert_eq!(encode(r#"Execute "p" 0"#), b"E\0\0\0\x0ap\0\0\0\0\0");
    assert_eq!(encode(r#"DataRow "a"*3"#), b"D\0\0\0\x0d\0\x01\0\0\0\x03aaa");
    assert_eq!(
        encode(r#"ErrorResponse S"ERROR" C"42601" M"no""#),
        b"E\0\0\0\x1eSERROR\0VERROR\0C42601\0Mno\0\0".as_slice()
    );
    assert_eq!(encode("ReadyForQuery I"), b"Z\0\0\0\x05I");
    assert_eq!(encode(r#"Bytes "\xff\0""#), b"\xff\0");
    assert_eq!(
        encode(r#"RowDescription "c" 25"#),
        b"T\0\0\0\x1a\0\x01c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
    );
    assert_eq!(encode("CopyInResponse 1"), b"G\0\0\0\x09\0\0\x01\0\0");
}
