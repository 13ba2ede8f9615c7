//! Tables as the console sends them: in text and in binary.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, BytesMut};

use crate::wire::backend;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `text`.
    Text,
    /// `bigint`.
    Int,
    /// `double precision`.
    Float,
    /// `boolean`.
    Bool,
}

impl Type {
    /// OID and size in `pg_type`.
    fn oid_and_size(self) -> (u32, i16) {
        match self {
            Type::Text => (25, -1),
            Type::Int => (20, 8),
            Type::Float => (701, 8),
            Type::Bool => (16, 1),
        }
    }
}

/// A column by name and type.
pub type Column = (&'static str, Type);

/// One value; of its column's type or NULL.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// Of [`Type::Text`].
    Text(String),
    /// Of [`Type::Int`].
    Int(i64),
    /// Of [`Type::Float`].
    Float(f64),
    /// Of [`Type::Bool`].
    Bool(bool),
}

impl Value {
    /// A text of anything that has one.
    pub fn text(value: impl ToString) -> Value {
        Value::Text(value.to_string())
    }

    /// A count; one that does not fit stays at the largest number.
    pub fn count(value: impl TryInto<i64>) -> Value {
        Value::Int(value.try_into().unwrap_or(i64::MAX))
    }

    /// `None` is NULL.
    pub fn or_null<T>(value: Option<T>, some: impl FnOnce(T) -> Value) -> Value {
        value.map_or(Value::Null, some)
    }

    /// A moment as PgBouncer writes it, in UTC: `2026-01-31 12:00:00 UTC`.
    pub fn moment(time: SystemTime) -> Value {
        let seconds = time.duration_since(UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or_default();
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        Value::Text(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"))
    }

    /// The text format; `None` is NULL.
    pub fn to_text(&self) -> Option<String> {
        Some(match self {
            Value::Null => return None,
            Value::Text(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Bool(flag) => if *flag { "t" } else { "f" }.to_owned(),
        })
    }

    fn write(&self, out: &mut BytesMut, binary: bool) {
        let put = |out: &mut BytesMut, bytes: &[u8]| {
            out.put_i32(bytes.len() as i32);
            out.put_slice(bytes);
        };
        match self {
            Value::Null => out.put_i32(-1),
            Value::Int(number) if binary => put(out, &number.to_be_bytes()),
            Value::Float(number) if binary => put(out, &number.to_be_bytes()),
            Value::Bool(flag) if binary => put(out, &[u8::from(*flag)]),
            _ => put(out, self.to_text().unwrap_or_default().as_bytes()),
        }
    }
}

/// Year, month and day of a day since 1970-01-01 in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years that begin in March put the leap day at their end; an era has 400 of them. (H. Hinnant, "chrono-Compatible
    // Low-Level Date Algorithms".)
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The formats a Bind asked for: none (all text), one (for all) or one a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formats(pub Vec<bool>);

impl Formats {
    /// Whether the column at `index` is binary.
    fn binary(&self, index: usize) -> bool {
        let index = if self.0.len() == 1 { 0 } else { index };
        self.0.get(index).copied().unwrap_or(false)
    }
}

/// Appends a RowDescription.
pub fn write_description(out: &mut BytesMut, columns: &[Column], formats: &Formats) {
    backend::frame(out, b'T', |out| {
        out.put_i16(columns.len() as i16);
        for (index, (name, kind)) in columns.iter().enumerate() {
            let (oid, size) = kind.oid_and_size();
            out.put_slice(name.as_bytes());
            out.put_u8(0);
            // Of no table.
            out.put_u32(0);
            out.put_i16(0);
            out.put_u32(oid);
            out.put_i16(size);
            out.put_i32(-1);
            out.put_i16(i16::from(formats.binary(index)));
        }
    });
}

/// Appends a DataRow.
pub fn write_row(out: &mut BytesMut, row: &[Value], formats: &Formats) {
    backend::frame(out, b'D', |out| {
        out.put_i16(row.len() as i16);
        for (index, value) in row.iter().enumerate() {
            value.write(out, formats.binary(index));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rows_in_both_formats() {
        let row = [Value::text("ab"), Value::Int(-2), Value::Null, Value::Bool(true)];
        let mut out = BytesMut::new();
        write_row(&mut out, &row, &Formats::default());
        assert_eq!(&out[5..], b"\0\x04\0\0\0\x02ab\0\0\0\x02-2\xff\xff\xff\xff\0\0\0\x01t");
        let mut out = BytesMut::new();
        write_row(&mut out, &row, &Formats(vec![true]));
        assert_eq!(
            &out[5..],
            b"\0\x04\0\0\0\x02ab\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\xff\0\0\0\x01\x01"
        );
        let mut out = BytesMut::new();
        write_row(&mut out, &row[1..2], &Formats(vec![false]));
        assert_eq!(&out[5..], b"\0\x01\0\0\0\x02-2");
    }

    #[test]
    fn descriptions() {
        let mut out = BytesMut::new();
        write_description(&mut out, &[("n", Type::Int)], &Formats(vec![true]));
        assert_eq!(&out[5..], b"\0\x01n\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\x01");
    }

    #[test]
    fn moments() {
        let check = |seconds: u64, expect: &str| {
            assert_eq!(Value::moment(UNIX_EPOCH + Duration::from_secs(seconds)), Value::text(expect));
        };
        check(0, "1970-01-01 00:00:00 UTC");
        check(951_782_399, "2000-02-28 23:59:59 UTC");
        check(951_782_400, "2000-02-29 00:00:00 UTC");
        check(1_735_689_599, "2024-12-31 23:59:59 UTC");
        check(4_107_542_400, "2100-03-01 00:00:00 UTC");
    }
}
