//! Answers as lines, and where two answers differ.

use crate::support::Frame;

/// The first OID of objects that users make: such types have another number on every server.
const FIRST_USER_OID: u32 = 16384;

/// An answer, message by message, without what no two servers have in common (numbers of tables, of user types, of
/// processes). Rows that come in no order are sorted; those before an error are left out.
pub fn lines(frames: &[Frame], ordered: bool) -> Vec<String> {
    let mut formats = Vec::new();
    let mut lines: Vec<String> = frames.iter().map(|frame| line(frame, &mut formats)).collect();
    // Notifications come when they come; with PostgreSQL itself, behind the tag of the COMMIT that sent them or before it.
    lines.sort_by_key(|line| line.starts_with("Notification"));
    if error(frames).is_some() {
        // How many rows come before an error is chance.
        lines.retain(|line| !is_row(line));
    } else if !ordered {
        for run in lines.chunk_by_mut(|a, b| is_row(a) && is_row(b)) {
            run.sort();
        }
    }
    lines
}

/// The SQLSTATE of the first error.
pub fn error(frames: &[Frame]) -> Option<String> {
    frames.iter().find(|frame| frame.tag == b'E').and_then(|frame| frame.field(b'C'))
}

fn is_row(line: &str) -> bool {
    line.starts_with("DataRow")
}

fn line(frame: &Frame, formats: &mut Vec<u16>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let field = |code| frame.field(code).unwrap_or_default();
    match frame.tag {
        b'T' => {
            let columns = columns(&frame.body);
            *formats = columns.iter().map(|column| column.format).collect();
            let shown: Vec<String> = columns.iter().map(Column::shown).collect();
            format!("RowDescription {}", shown.join(", "))
        }
        b'D' => {
            let values = frame.columns();
            let shown = values.iter().enumerate().map(|(at, value)| match (value, formats.get(at)) {
                (None, _) => "NULL".to_owned(),
                (Some(value), Some(1)) => format!("x{}", value.escape_ascii()),
                (Some(value), _) => format!("{:?}", text(value)),
            });
            format!("DataRow {}", shown.collect::<Vec<_>>().join(" | "))
        }
        b'E' => format!("Error {} {} {}", field(b'V'), field(b'C'), field(b'M')),
        b'N' => format!("Notice {} {} {}", field(b'V'), field(b'C'), field(b'M')),
        b'A' => format!("Notification {:?}", text(&frame.body[4..])),
        b't' => {
            let types = frame.body[2..].chunks_exact(4).map(|oid| type_name(be32(oid)));
            format!("ParameterDescription {}", types.collect::<Vec<_>>().join(" "))
        }
        b'C' => format!("CommandComplete {}", text(frame.body.strip_suffix(&[0]).unwrap_or(&frame.body))),
        b'S' => format!("ParameterStatus {:?}", text(&frame.body)),
        b'Z' => format!("ReadyForQuery {}", text(&frame.body)),
        b'G' => format!("CopyInResponse {:?}", frame.body),
        b'H' => format!("CopyOutResponse {:?}", frame.body),
        b'd' => format!("DataRow of COPY {}", frame.body.escape_ascii()),
        b'1' => "ParseComplete".to_owned(),
        b'2' => "BindComplete".to_owned(),
        b'3' => "CloseComplete".to_owned(),
        b'c' => "CopyDone".to_owned(),
        b'n' => "NoData".to_owned(),
        b's' => "PortalSuspended".to_owned(),
        b'I' => "EmptyQueryResponse".to_owned(),
        other => format!("{:?} {}", char::from(other), frame.body.escape_ascii()),
    }
}

struct Column {
    name: String,
    of_table: bool,
    attribute: u16,
    type_oid: u32,
    size: u16,
    modifier: u32,
    format: u16,
}

impl Column {
    fn shown(&self) -> String {
        let Column { name, of_table, attribute, size, modifier, format, .. } = self;
        let origin = if *of_table { format!(" column {attribute}") } else { String::new() };
        format!("{name:?}{origin} type {} size {size} modifier {modifier} format {format}", type_name(self.type_oid))
    }
}

fn type_name(oid: u32) -> String {
    if oid >= FIRST_USER_OID { "of users".to_owned() } else { oid.to_string() }
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"))
}

fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes(bytes[..2].try_into().expect("two bytes"))
}

fn columns(body: &[u8]) -> Vec<Column> {
    let mut rest = &body[2..];
    let mut columns = Vec::new();
    for _ in 0..be16(body) {
        let end = rest.iter().position(|byte| *byte == 0).expect("a name ends");
        let (name, fixed) = (String::from_utf8_lossy(&rest[..end]).into_owned(), &rest[end + 1..]);
        columns.push(Column {
            name,
            of_table: be32(fixed) != 0,
            attribute: be16(&fixed[4..]),
            type_oid: be32(&fixed[6..]),
            size: be16(&fixed[10..]),
            modifier: be32(&fixed[12..]),
            format: be16(&fixed[16..]),
        });
        rest = &fixed[18..];
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    type Alter = fn(&mut Vec<Frame>);

    fn frame(tag: u8, body: &[u8]) -> Frame {
        Frame { tag, body: body.to_vec() }
    }

    fn column(name: &str, table: u32, type_oid: u32, format: u16) -> Vec<u8> {
        let mut bytes = [name.as_bytes(), &[0]].concat();
        bytes.extend_from_slice(&table.to_be_bytes());
        bytes.extend_from_slice(&1_u16.to_be_bytes());
        bytes.extend_from_slice(&type_oid.to_be_bytes());
        bytes.extend_from_slice(&8_u16.to_be_bytes());
        bytes.extend_from_slice(&u32::MAX.to_be_bytes());
        bytes.extend_from_slice(&format.to_be_bytes());
        bytes
    }

    fn described(column: &[u8]) -> Frame {
        frame(b'T', &[&1_u16.to_be_bytes(), column].concat())
    }

    fn row(value: &str) -> Frame {
        let length = u32::try_from(value.len()).unwrap().to_be_bytes();
        frame(b'D', &[&1_u16.to_be_bytes()[..], &length, value.as_bytes()].concat())
    }

    fn answer() -> Vec<Frame> {
        let notice = frame(b'N', b"VWARNING\0C01000\0Mmind\0\0");
        let tag = frame(b'C', b"SELECT 2\0");
        vec![described(&column("id", 16500, 20, 0)), row("1"), row("2"), notice, tag, frame(b'Z', b"I")]
    }

    #[test]
    fn every_alteration_of_an_answer_is_seen() {
        let alterations: &[(&str, Alter)] = &[
            ("a value", |a| a[1] = row("7")),
            ("NULL for a value", |a| a[1] = frame(b'D', &[0, 1, 255, 255, 255, 255])),
            ("a row twice", |a| a.insert(2, row("1"))),
            ("a row missing", |a| drop(a.remove(1))),
            ("the name of a column", |a| a[0] = described(&column("ID", 16500, 20, 0))),
            ("a type", |a| a[0] = described(&column("id", 16500, 23, 0))),
            ("a format", |a| a[0] = described(&column("id", 16500, 20, 1))),
            ("the column of a table", |a| a[0] = described(&column("id", 0, 20, 0))),
            ("the tag", |a| a[4] = frame(b'C', b"SELECT 3\0")),
            ("an error in place of the tag", |a| a[4] = frame(b'E', b"VERROR\0C22012\0Mno\0\0")),
            ("the status", |a| a[5] = frame(b'Z', b"T")),
            ("a notice missing", |a| drop(a.remove(3))),
            ("the code of a notice", |a| a[3] = frame(b'N', b"VWARNING\0C25001\0Mmind\0\0")),
        ];
        for (what, alter) in alterations {
            let mut altered = answer();
            alter(&mut altered);
            for ordered in [false, true] {
                assert_ne!(lines(&altered, ordered), lines(&answer(), ordered), "{what}, ordered: {ordered}");
            }
        }
        let failed: Vec<_> = [&answer()[..2], &[frame(b'E', b"VERROR\0C22012\0Mno\0\0")]].concat();
        assert_eq!(lines(&failed, true).len(), 2, "rows before an error are left out, and nothing else");
        let code = |code: &str| frame(b'E', format!("VERROR\0C{code}\0Mno\0\0").as_bytes());
        assert_ne!(lines(&[code("22012")], false), lines(&[code("22003")], false));
    }

    #[test]
    fn only_what_servers_do_not_share_is_overlooked() {
        let mut other = answer();
        other.swap(1, 2);
        other[0] = described(&column("id", 16999, 20, 0));
        assert_eq!(lines(&other, false), lines(&answer(), false), "rows without order, another number of the table");
        assert_ne!(lines(&other, true), lines(&answer(), true), "rows with an order");
    }
}
