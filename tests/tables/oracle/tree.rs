//! PostgreSQL's own syntax tree as plain data: read from the debug form of `pg_query`'s messages, which shows every field of
//! every node, so that no kind of node can be forgotten.

/// A node, a list, or a word.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Node(String, Vec<(String, Tree)>),
    List(Vec<Tree>),
    Text(String),
    Word(String),
}

impl Tree {
    /// The tree of a statement, or `None` when PostgreSQL rejects it or it is not exactly one.
    pub fn parse(text: &str) -> Option<Tree> {
        let parsed = pg_query::parse(text, pg_query::ParserOptions::default()).ok()?;
        let [raw] = parsed.protobuf.stmts.as_slice() else { return None };
        let debug = format!("{:?}", raw.stmt.as_ref()?);
        let mut reader = Reader { text: &debug, at: 0 };
        Some(reader.value())
    }

    /// The node's name; empty for what is none.
    pub fn name(&self) -> &str {
        match self {
            Tree::Node(name, _) => name,
            _ => "",
        }
    }

    /// A field; the word `None` when there is no such field.
    pub fn get(&self, field: &str) -> &Tree {
        static NONE: std::sync::LazyLock<Tree> = std::sync::LazyLock::new(|| Tree::Word("None".to_owned()));
        match self {
            Tree::Node(_, fields) => fields.iter().find(|(name, _)| name == field).map_or(&NONE, |(_, value)| value),
            _ => &NONE,
        }
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Tree::Word(word) if word == "None")
    }

    pub fn items(&self) -> &[Tree] {
        match self {
            Tree::List(items) => items,
            _ => &[],
        }
    }

    /// A string or word.
    pub fn text(&self) -> &str {
        match self {
            Tree::Text(text) | Tree::Word(text) => text,
            _ => "",
        }
    }

    /// The tree without what tells where in the text a node stood.
    pub fn without_places(self) -> Tree {
        match self {
            Tree::Node(name, fields) => {
                let kept = fields.into_iter().filter(|(name, _)| name != "location" && !name.starts_with("rexpr_list"));
                Tree::Node(name, kept.map(|(name, value)| (name, value.without_places())).collect())
            }
            Tree::List(items) => Tree::List(items.into_iter().map(Tree::without_places).collect()),
            other => other,
        }
    }

    pub fn children(&self) -> Box<dyn Iterator<Item = &Tree> + '_> {
        match self {
            Tree::Node(_, fields) => Box::new(fields.iter().map(|(_, value)| value)),
            Tree::List(items) => Box::new(items.iter()),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// Calls `each` with this and every tree below.
    pub fn walk<'a>(&'a self, each: &mut impl FnMut(&'a Tree)) {
        each(self);
        self.children().for_each(|child| child.walk(each));
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn skip(&mut self, symbol: &str) -> bool {
        self.at += self.text[self.at..].len() - self.text[self.at..].trim_start().len();
        let here = self.text[self.at..].starts_with(symbol);
        self.at += if here { symbol.len() } else { 0 };
        here
    }

    fn value(&mut self) -> Tree {
        if self.skip("[") {
            let mut items = Vec::new();
            while !self.skip("]") {
                items.push(self.value());
                self.skip(",");
            }
            return Tree::List(items);
        }
        if self.skip("\"") {
            return Tree::Text(self.string());
        }
        let word = self.word();
        if self.skip("(") {
            // `Some(x)`, `Variant(Struct { … })`, `Node { node: … }` say nothing but what is inside.
            let inner = self.value();
            self.skip(")");
            return inner;
        }
        if !self.skip("{") {
            return Tree::Word(word);
        }
        let mut fields = Vec::new();
        while !self.skip("}") {
            let name = self.word();
            assert!(self.skip(":"), "field at {}", &self.text[self.at..]);
            fields.push((name, self.value()));
            self.skip(",");
        }
        if word == "Node" && fields.len() == 1 {
            return fields.remove(0).1;
        }
        Tree::Node(word, fields)
    }

    fn word(&mut self) -> String {
        self.skip("r#");
        let rest = &self.text[self.at..];
        let length =
            rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-' && c != '.').unwrap_or(rest.len());
        assert!(length > 0, "word at {rest}");
        self.at += length;
        rest[..length].to_owned()
    }

    fn string(&mut self) -> String {
        let mut out = String::new();
        loop {
            let next = self.text[self.at..].chars().next().expect("strings end");
            self.at += next.len_utf8();
            match next {
                '"' => return out,
                '\\' => {
                    let escape = self.text[self.at..].chars().next().expect("escapes end");
                    self.at += escape.len_utf8();
                    match escape {
                        'n' => out.push('\n'),
                        'r' => out.push('\r'),
                        't' => out.push('\t'),
                        '0' => out.push('\0'),
                        'u' => {
                            let end = self.at + self.text[self.at..].find('}').expect("escapes end");
                            let code = u32::from_str_radix(&self.text[self.at + 1..end], 16).expect("hexadecimal");
                            out.extend(char::from_u32(code));
                            self.at = end + 1;
                        }
                        other => out.push(other),
                    }
                }
                other => out.push(other),
            }
        }
    }
}
