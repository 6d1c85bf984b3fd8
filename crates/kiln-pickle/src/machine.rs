//! The stack machine: an instruction a byte, as far as data needs them, in protocols 0 to 5.

use std::collections::HashMap;
use std::rc::Rc;

use super::input::Input;
use super::known::{Vocabulary, known};
use super::value::{Heap, Object, Value};
use crate::error::Problem;

/// The most instructions of a pickle. A tensor takes about forty.
const MOST_STEPS: usize = 10_000_000;
/// The most values on the stack. Python puts a thousand entries of a dict there at a time.
const MOST_STACK: usize = 1 << 20;
/// The most values that are remembered for use further down. A tensor has about eight.
const MOST_MEMO: usize = 1 << 22;

/// The result of a pickle and where it ends.
pub struct Pickled {
    /// The object that the pickle is of.
    pub value: Value,
    /// What it is made of.
    pub heap: Heap,
    /// The place behind the last byte.
    pub end: usize,
}

/// Reads the pickle that begins at `start`.
pub fn unpickle(bytes: &[u8], start: usize, vocabulary: Vocabulary) -> Result<Pickled, Problem> {
    let machine = Machine {
        vocabulary,
        input: Input::new(bytes, start),
        heap: Heap::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        steps: 0,
    };
    machine.run()
}

pub(super) struct Machine<'a> {
    vocabulary: Vocabulary,
    pub(super) input: Input<'a>,
    pub(super) heap: Heap,
    stack: Vec<Value>,
    /// Places in the stack where a list of values begins.
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    steps: usize,
}

impl Machine<'_> {
    fn run(mut self) -> Result<Pickled, Problem> {
        loop {
            self.spend(1)?;
            match self.input.byte()? {
                b'.' => {
                    let value = self.pop()?;
                    return Ok(Pickled { value, heap: self.heap, end: self.input.at() });
                }
                instruction => self.step(instruction)?,
            }
        }
    }

    fn step(&mut self, instruction: u8) -> Result<(), Problem> {
        if let Some(value) = self.scalar(instruction)? {
            return self.push(value);
        }
        match instruction {
            // The protocol, and how far the next pieces reach: the instructions say that themselves.
            0x80 => self.input.take(1).map(drop),
            0x95 => self.input.take(8).map(drop),
            b'(' => {
                self.limit(self.marks.len() < MOST_STACK, "marks")?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_to_mark().map(drop),
            b'2' => {
                let value = self.top()?;
                self.push(value)
            }
            b'g' | b'h' | b'j' => {
                let key = self.memo_key(instruction)?;
                let value = self.memo.get(&key).copied();
                self.push(value.ok_or_else(|| {
                    Problem::Damaged("it refers to a value that it has not yet given".into())
                })?)
            }
            b'p' | b'q' | b'r' => {
                let key = self.memo_key(instruction)?;
                self.remember(key)
            }
            0x94 => self.remember(u64::try_from(self.memo.len()).unwrap_or(u64::MAX)),
            b')' => self.push_object(Object::Tuple([].into())),
            b']' => self.push_object(Object::List(Vec::new())),
            b'}' => self.push_object(Object::Dict(Vec::new())),
            0x85 => self.tuple(1),
            0x86 => self.tuple(2),
            0x87 => self.tuple(3),
            b't' => {
                let items = self.pop_to_mark()?;
                self.push_object(Object::Tuple(items.into()))
            }
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push_object(Object::List(items))
            }
            b'd' => {
                let entries = pairs(&self.pop_to_mark()?)?;
                self.push_object(Object::Dict(entries))
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(vec![(key, value)])
            }
            b'u' => {
                let entries = pairs(&self.pop_to_mark()?)?;
                self.insert(entries)
            }
            b'c' => {
                let module = self.input.line()?;
                let name = self.input.line()?;
                let object = named(self.vocabulary, module, name);
                self.push_object(object)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let names = self.heap.text(module).zip(self.heap.text(name));
                let (module, name) =
                    names.ok_or_else(|| Problem::Damaged("it names a function without a name".into()))?;
                let object = named(self.vocabulary, module, name);
                self.push_object(object)
            }
            // A class with arguments by place and by name.
            0x92 => {
                let (_, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                let result = self.call(class, arguments)?;
                self.push(result)
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let result = self.call(function, arguments)?;
                self.push(result)
            }
            b'b' => {
                let state = self.pop()?;
                self.build(self.top()?, state)
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push_object(storage)
            }
            // An object of a class by its name: how protocols 0 and 1 store them.
            b'i' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                let class = self.heap.add(named(self.vocabulary, module, name));
                let arguments = Object::Tuple(self.pop_to_mark()?.into());
                let arguments = self.heap.add(arguments);
                let result = self.call(class, arguments)?;
                self.push(result)
            }
            b'o' => {
                let mut arguments = self.pop_to_mark()?.into_iter();
                let class = arguments
                    .next()
                    .ok_or_else(|| Problem::Damaged("it makes an object without a class".into()))?;
                let arguments = self.heap.add(Object::Tuple(arguments.collect()));
                let result = self.call(class, arguments)?;
                self.push(result)
            }
            0x8f => self.push_object(refused("builtins.set")),
            0x90 => {
                let items = self.pop_to_mark()?;
                self.append(items)
            }
            0x91 => {
                self.pop_to_mark()?;
                self.push_object(refused("builtins.frozenset"))
            }
            _ => Err(unknown(instruction)),
        }
    }

    /// Counts steps, and more for an instruction that copies.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Problem> {
        self.steps = self.steps.saturating_add(steps);
        self.limit(self.steps <= MOST_STEPS, "instructions")
    }

    fn limit(&self, within: bool, what: &'static str) -> Result<(), Problem> {
        if within { Ok(()) } else { Err(Problem::TooComplicated { what }) }
    }

    fn push(&mut self, value: Value) -> Result<(), Problem> {
        self.limit(self.stack.len() < MOST_STACK, "values in one place")?;
        self.stack.push(value);
        Ok(())
    }

    fn push_object(&mut self, object: Object) -> Result<(), Problem> {
        let value = self.heap.add(object);
        self.push(value)
    }

    /// The last value, which has to lie above the last mark.
    fn top(&self) -> Result<Value, Problem> {
        let mark = self.marks.last().copied().unwrap_or(0);
        let above = self.stack.get(mark..).unwrap_or_default();
        above.last().copied().ok_or_else(|| Problem::Damaged("it uses a value that is not there".into()))
    }

    fn pop(&mut self) -> Result<Value, Problem> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Problem> {
        let mark = self.marks.pop();
        let mark = mark.ok_or_else(|| Problem::Damaged("it ends a list that it has not begun".into()))?;
        // Nothing takes values below a mark, so that the stack always reaches it.
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn tuple(&mut self, n: usize) -> Result<(), Problem> {
        let mut items = vec![Value::None; n];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.push_object(Object::Tuple(items.into()))
    }

    fn memo_key(&mut self, instruction: u8) -> Result<u64, Problem> {
        Ok(match instruction {
            b'h' | b'q' => self.input.byte()?.into(),
            b'j' | b'r' => u32::from_le_bytes(self.input.array()?).into(),
            _ => {
                let key = self.input.line()?;
                key.parse().map_err(|_| Problem::Damaged("it memoizes a value without an index".into()))?
            }
        })
    }

    fn remember(&mut self, key: u64) -> Result<(), Problem> {
        let value = self.top()?;
        self.memo.insert(key, value);
        self.limit(self.memo.len() <= MOST_MEMO, "remembered values")
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), Problem> {
        let list = self.top()?;
        match self.heap.get_mut(list) {
            Some(Object::List(list)) => {
                list.extend(items);
                Ok(())
            }
            Some(Object::Foreign(_)) => Ok(()),
            _ => Err(Problem::Damaged(format!("it appends to {}", self.heap.describe(list)))),
        }
    }

    fn insert(&mut self, entries: Vec<(Value, Value)>) -> Result<(), Problem> {
        let dict = self.top()?;
        match self.heap.get_mut(dict) {
            Some(Object::Dict(dict)) => {
                dict.extend(entries);
                Ok(())
            }
            Some(Object::Foreign(_)) => Ok(()),
            _ => Err(Problem::Damaged(format!("it puts entries into {}", self.heap.describe(dict)))),
        }
    }
}

fn pairs(items: &[Value]) -> Result<Vec<(Value, Value)>, Problem> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Problem::Damaged("a dict in it has a key without a value".into()));
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

/// The meaning of a name. What is not known is passed over unless the data needs it.
fn named(vocabulary: Vocabulary, module: &str, name: &str) -> Object {
    match known(vocabulary, module, name) {
        Ok(known) => Object::Known(known),
        Err(problem) => Object::Foreign(Rc::new(problem)),
    }
}

fn refused(name: &str) -> Object {
    Object::Foreign(Rc::new(Problem::Refused { name: name.into() }))
}

fn unknown(instruction: u8) -> Problem {
    Problem::Damaged(format!("its pickle has the instruction {instruction:#04x}, which data does not need"))
}
