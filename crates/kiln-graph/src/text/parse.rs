//! From text to a graph.

use std::collections::HashMap;

use super::attributes::{self, Attribute, Reader};
use super::{data, dims, loops};
use crate::dim::Dim;
use crate::error::GraphError;
use crate::graph::{Graph, ValueId};
use crate::ops::Op;
use crate::tensor::TensorType;

/// Lists nest no deeper than this.
const MAX_DEPTH: usize = 8;

/// Reads the text form of a graph. An error names line and column and what would be right.
pub fn parse(text: &str) -> Result<Graph, GraphError> {
    graph(&mut text.lines().enumerate(), 0)
}

type Lines<'a> = std::iter::Enumerate<std::str::Lines<'a>>;

/// The graph of the next lines: of all, or of those up to the `}` that ends the body of a loop.
fn graph(lines: &mut Lines<'_>, depth: usize) -> Result<Graph, GraphError> {
    let mut parser = Parser { graph: Graph::default(), values: HashMap::new(), lines, depth };
    while let Some((number, line)) = parser.lines.next() {
        let mut words = Words::new(line);
        if depth > 0 && words.eat("}") && !words.more() {
            return Ok(parser.graph);
        }
        words = Words::new(line);
        parser.line(&mut words).map_err(|fault| match fault {
            Fault::Here(message) => {
                GraphError::Parse { line: number + 1, column: line[..words.at].chars().count() + 1, message }
            }
            Fault::Within(error) => error,
        })?;
    }
    if depth > 0 {
        let line = parser.lines.next().map_or(0, |(number, _)| number);
        return Err(GraphError::Parse {
            line,
            column: 1,
            message: "the body of a loop has no end `}`".into(),
        });
    }
    Ok(parser.graph)
}

struct Parser<'l, 'a> {
    graph: Graph,
    values: HashMap<String, ValueId>,
    lines: &'l mut Lines<'a>,
    /// How many loops it is in.
    depth: usize,
}

/// What is wrong with a line, or with the lines that belong to it.
enum Fault {
    Here(String),
    Within(GraphError),
}

impl<T: Into<String>> From<T> for Fault {
    fn from(message: T) -> Self {
        Fault::Here(message.into())
    }
}

impl Parser<'_, '_> {
    fn line(&mut self, words: &mut Words<'_>) -> Result<(), Fault> {
        words.space();
        if words.rest.is_empty() {
            return Ok(());
        }
        if words.rest.starts_with('%') {
            return self.node(words);
        }
        let keyword = words.word()?;
        match keyword.as_str() {
            "graph" => {
                self.graph.name = words.word()?;
                Ok(words.end()?)
            }
            "input" | "const" | "state" => Ok(self.stored(&keyword, words)?),
            "output" => {
                let name = words.word()?;
                words.expect("=")?;
                let value = self.value(words)?;
                self.graph.output(name, value).map_err(|e| e.to_string())?;
                Ok(words.end()?)
            }
            "size" => {
                let output = self.output(words)?;
                let axis = words.word()?;
                let axis = axis.parse().map_err(|_| format!("`{axis}` is not an axis"))?;
                words.expect("=")?;
                let size = self.output(words)?;
                self.graph.output_size(output, axis, size).map_err(|e| e.to_string())?;
                Ok(words.end()?)
            }
            "update" => {
                let state = self.value(words)?;
                words.expect("=")?;
                let value = self.value(words)?;
                self.graph.update(state, value).map_err(|e| e.to_string())?;
                Ok(words.end()?)
            }
            other => Err(format!(
                "`{other}` cannot start a line; use `graph`, `input`, `const`, `state`, `%name =`, `output`, `size` or `update`"
            )
            .into()),
        }
    }

    /// The place of an output by its name.
    fn output(&self, words: &mut Words<'_>) -> Result<usize, String> {
        let name = words.word()?;
        let place = self.graph.outputs().iter().position(|output| output.name == name);
        place.ok_or_else(|| format!("there is no output `{name}` on an earlier line"))
    }

    fn stored(&mut self, keyword: &str, words: &mut Words<'_>) -> Result<(), String> {
        let shown = words.name()?;
        let name = words.own_name()?.unwrap_or_else(|| shown[1..].to_owned());
        words.expect(":")?;
        let ty = words.ty()?;
        let id = if keyword == "input" {
            self.graph.input(name, ty).map_err(|e| e.to_string())?
        } else {
            words.expect("=")?;
            let shape = ty.static_shape().ok_or("a stored tensor has to have fixed sizes")?;
            words.space();
            let text = words.rest.split('#').next().unwrap_or_default().trim();
            words.rest = "";
            let tensor = data::parse(ty.dtype, shape, text)?;
            match keyword {
                "state" => self.graph.state(name, tensor).map_err(|e| e.to_string())?,
                _ => self.graph.constant(name, tensor),
            }
        };
        self.define(shown, id)?;
        words.end()
    }

    fn node(&mut self, words: &mut Words<'_>) -> Result<(), Fault> {
        let mut shown = vec![words.name()?];
        while words.eat(",") {
            shown.push(words.name()?);
        }
        words.expect("=")?;
        let operator = words.word()?;
        let operator_at = words.at;
        words.expect("(")?;
        let mut inputs = Vec::new();
        if !words.eat(")") {
            inputs.push(self.value(words)?);
            while words.eat(",") {
                inputs.push(self.value(words)?);
            }
            words.expect(")")?;
        }
        let mut list = Vec::new();
        let mut own = None;
        while words.more() && !words.rest.starts_with([':', '{']) {
            let key = words.word()?;
            if key == "name" {
                words.expect("=")?;
                own = Some(words.word()?);
            } else if words.eat("=") {
                list.push((key, words.attribute(0)?));
            } else {
                list.push((key, Attribute::Flag));
            }
        }
        let end = std::mem::replace(&mut words.at, operator_at);
        let mut reader = Reader(list);
        let types: Vec<&TensorType> = inputs.iter().map(|id| self.graph.ty(*id)).collect();
        let op = match operator.as_str() {
            "loop" => self.looped(words, &mut reader)?,
            _ => attributes::op(&operator, &mut reader, &types)?,
        };
        if let Some((key, _)) = reader.0.first() {
            return Err(format!("`{operator}` has no attribute `{key}`").into());
        }
        let name = own.unwrap_or_else(|| shown[0][1..].to_owned());
        let outputs = self.graph.apply(name, op, &inputs).map_err(|e| e.to_string())?;
        if outputs.len() != shown.len() {
            return Err(format!(
                "`{operator}` has {} outputs, but {} names are given for them",
                outputs.len(),
                shown.len()
            )
            .into());
        }
        words.at = end;
        if words.eat(":") {
            for (n, id) in outputs.iter().enumerate() {
                if n > 0 {
                    words.expect(",")?;
                }
                let declared = words.ty()?;
                if declared != *self.graph.ty(*id) {
                    return Err(format!("`{}` is {}, not {declared}", shown[n], self.graph.ty(*id)).into());
                }
            }
        }
        for (shown, id) in shown.into_iter().zip(outputs) {
            self.define(shown, id)?;
        }
        if operator == "loop" {
            words.expect("{")?;
        }
        Ok(words.end()?)
    }

    /// The loop with these attributes, whose body is on the lines behind this one.
    fn looped(&mut self, words: &Words<'_>, reader: &mut Reader) -> Result<Op, Fault> {
        let opens = words.rest.split('#').next().unwrap_or_default().trim_end().ends_with('{');
        if !opens {
            return Err("`{` is expected at the end of the line: the body of a loop follows".into());
        }
        if self.depth == MAX_DEPTH {
            return Err("loops nest too deep".into());
        }
        let body = graph(self.lines, self.depth + 1).map_err(Fault::Within)?;
        Ok(loops::read(reader, body)?)
    }

    fn define(&mut self, shown: String, id: ValueId) -> Result<(), String> {
        match self.values.insert(shown.clone(), id) {
            Some(_) => Err(format!("`{shown}` is defined twice")),
            None => Ok(()),
        }
    }

    fn value(&self, words: &mut Words<'_>) -> Result<ValueId, String> {
        let shown = words.name()?;
        self.values.get(&shown).copied().ok_or_else(|| format!("`{shown}` is not defined on an earlier line"))
    }
}

/// The rest of a line.
struct Words<'a> {
    line: &'a str,
    rest: &'a str,
    /// The start of the last word; errors refer to it.
    at: usize,
}

impl<'a> Words<'a> {
    fn new(line: &'a str) -> Self {
        Self { line, rest: line, at: 0 }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
        self.at = self.line.len() - self.rest.len();
        if self.rest.starts_with('#') {
            self.rest = "";
        }
    }

    fn more(&mut self) -> bool {
        self.space();
        !self.rest.is_empty()
    }

    fn end(&mut self) -> Result<(), String> {
        if self.more() { Err(format!("unexpected `{}`", self.rest.trim_end())) } else { Ok(()) }
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) {
            return Ok(());
        }
        let found = if self.rest.is_empty() { "the end of the line" } else { self.rest.trim_end() };
        Err(format!("`{token}` is expected, but here is {found}"))
    }

    /// A plain word or a quoted one.
    fn word(&mut self) -> Result<String, String> {
        self.space();
        if self.rest.starts_with('"') {
            return self.string();
        }
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || "_.-/:~".contains(c)));
        // A colon may be part of a name, but not its end.
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if word.is_empty() {
            let found = if self.rest.is_empty() { "the end of the line" } else { self.rest.trim_end() };
            return Err(format!("a word is expected, but here is {found}"));
        }
        self.rest = rest;
        Ok(word.to_owned())
    }

    /// `"..."` with the escapes of Rust.
    fn string(&mut self) -> Result<String, String> {
        let mut out = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(out);
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some('r') => out.push('\r'),
                    Some('0') => out.push('\0'),
                    Some('u') => {
                        let code: String =
                            chars.by_ref().map(|(_, c)| c).skip(1).take_while(|c| *c != '}').collect();
                        let code = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
                        out.push(code.ok_or("`\\u{...}` is not a character")?);
                    }
                    Some(c) => out.push(c),
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err("a quoted name has no end".into())
    }

    /// `%name` or `@name`, with the mark.
    fn name(&mut self) -> Result<String, String> {
        self.space();
        let mark = match self.rest.chars().next() {
            Some(mark @ ('%' | '@')) => mark,
            _ => {
                return Err(format!(
                    "a name with `%` or `@` is expected, but here is {}",
                    self.rest.trim_end()
                ));
            }
        };
        let at = self.at;
        self.rest = &self.rest[1..];
        if self.rest.starts_with(char::is_whitespace) {
            return Err(format!("a name is expected right after `{mark}`"));
        }
        let word = self.word()?;
        self.at = at;
        Ok(format!("{mark}{word}"))
    }

    /// `name="..."`, if it is there.
    fn own_name(&mut self) -> Result<Option<String>, String> {
        if self.eat("name=") { self.word().map(Some) } else { Ok(None) }
    }

    /// `f32[N, 3]`
    fn ty(&mut self) -> Result<TensorType, String> {
        self.space();
        let end = self.rest.find('[').ok_or("a type as f32[N, 3] is expected")?;
        let (name, rest) = self.rest.split_at(end);
        let dtype = attributes::dtype(name.trim())
            .ok_or_else(|| format!("`{}` is not an element type", name.trim()))?;
        let close = rest.find(']').ok_or("`]` is missing")?;
        let inner = &rest[1..close];
        self.rest = &rest[close + 1..];
        let dims: Option<Vec<Dim>> = if inner.trim().is_empty() {
            Some(vec![])
        } else {
            dims::split(inner).map(dims::parse).collect()
        };
        Ok(TensorType::new(dtype, dims.ok_or_else(|| format!("`[{inner}]` is not a shape"))?))
    }

    fn attribute(&mut self, depth: usize) -> Result<Attribute, String> {
        if depth > MAX_DEPTH {
            return Err("lists nest too deep".into());
        }
        if self.eat("[") {
            let mut items = Vec::new();
            if self.eat("]") {
                return Ok(Attribute::List(items));
            }
            loop {
                items.push(self.attribute(depth + 1)?);
                if self.eat("]") {
                    return Ok(Attribute::List(items));
                }
                self.expect(",")?;
            }
        }
        self.space();
        let end = dims::end(self.rest, |c| c.is_whitespace() || ",[]".contains(c));
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return Err("a value is expected".into());
        }
        self.rest = rest;
        Ok(Attribute::Word(word.to_owned()))
    }
}
