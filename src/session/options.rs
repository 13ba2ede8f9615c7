//! The start-up parameter `options`: settings as command-line switches, as `PGOPTIONS` has them.

/// A switch that is not a setting, or a setting without a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported switch \"{switch}\" in the start-up parameter \"options\"")]
pub struct OptionsError {
    /// As the client wrote it, with its escapes resolved.
    pub switch: String,
}

/// Reads `-c name=value`, `-cname=value` and `--name=value`, separated by white space; a backslash makes the character
/// behind it ordinary. In names `-` stands for `_`, as in PostgreSQL.
///
/// # Errors
/// [`OptionsError`] for any other switch: PostgreSQL has a few, for its developers.
pub fn read(options: &str) -> Result<Vec<(String, String)>, OptionsError> {
    let mut words = split(options).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") if word == "-c" => words.next(),
            setting => setting.map(str::to_owned),
        };
        let setting = setting.as_deref().and_then(|setting| setting.split_once('='));
        let Some((name, value)) = setting.filter(|(name, _)| !name.is_empty()) else {
            return Err(OptionsError { switch: word });
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// The words of a text, as `pg_split_opts` sees them.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut escaped = false;
    for character in text.chars() {
        if !escaped && character == '\\' {
            escaped = true;
            word.get_or_insert_default();
        } else if !escaped && is_space(character) {
            words.extend(word.take());
        } else {
            escaped = false;
            word.get_or_insert_default().push(character);
        }
    }
    words.extend(word);
    words
}

/// `isspace` of C, which PostgreSQL uses here.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(options: &str) -> Vec<(String, String)> {
        read(options).unwrap()
    }

    #[test]
    fn settings_in_every_form() {
        let expected = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(pairs(""), []);
        assert_eq!(pairs("  \t"), []);
        assert_eq!(
            pairs("-c geqo=off -cjit=on  --work-mem=1MB"),
            expected(&[("geqo", "off"), ("jit", "on"), ("work_mem", "1MB")])
        );
        assert_eq!(pairs(r"-c search_path=a,\ b\\c"), expected(&[("search_path", r"a, b\c")]));
        assert_eq!(pairs("-c a="), expected(&[("a", "")]));
        assert_eq!(pairs("-c a=b=c"), expected(&[("a", "b=c")]));
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for options in ["-c", "-c geqo", "-d 5", "geqo=off", "--", "--=x", "-c =x", r"\"] {
            assert!(read(options).is_err(), "{options}");
        }
        assert_eq!(read("-c a=b -e").unwrap_err().switch, "-e");
    }
}
