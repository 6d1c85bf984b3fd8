/**
 * Limits on the work of compiling a kernel, as `kiln-plan/src/wgsl` has them: compilers recurse, and write out calls,
 * arrays and structures, so that a few hundred bytes can take all memory. The text is counted before a compiler sees it.
 */

const BYTES = 128 << 10;
const BLOCKS = 64;
const BRACKETS = 64;
const STATEMENT = 512;
const STATEMENTS = 1 << 12;
const BRANCHES = 384;
const DECLARATIONS = 512;
const CHAIN = 32;
const ARRAY = 1 << 14;
const PRIVATE_ARRAY = 1 << 8;
const EXPANDED = 1 << 20;
const PER_BYTE = 32;
/** Tokens that a text of any length may be written out to. */
export const FREE = 1 << 16;

const EXPANDED_WHAT = "tokens of source once calls, constants, structures and arrays are written out";
const BRANCH = /^(if|else|case|default|for|while|loop)$/;
const DECLARING = /^(fn|struct|alias|const|override|var)$/;
const TOKEN = /[0-9][.\w\u0080-\uffff]*|[\w\u0080-\uffff]+|[^]/y;
const WORD = /^[A-Z_a-z\u0080-\uffff]/;

type Fail = (problem: string) => never;
const most = (fail: Fail, what: string, count: number, limit: number) => {
  if (count > limit) fail(`${count} ${what}, at most ${limit} are allowed`);
};

/** The words, numbers and signs of a text; `>>` is two. */
export function tokens(text: string): string[] {
  const list: string[] = [];
  // One kind of white space, so that what is no word can be told by one range of characters.
  text = text.replace(/[\p{White_Space}]/gu, (c) => (/[\n-\r\x85\u2028\u2029]/.test(c) ? "\n" : " "));
  for (let at = 0; at < text.length;) {
    const c = text[at]!;
    if (c == " " || c == "\n") at++;
    else if (c == "/" && text[at + 1] == "/") {
      at = text.indexOf("\n", at);
      if (at < 0) break;
    } else if (c == "/" && text[at + 1] == "*") at = blockEnd(text, at + 2);
    else {
      TOKEN.lastIndex = at;
      const [token] = TOKEN.exec(text)!;
      list.push(token);
      at += token.length;
    }
  }
  return list;
}

/** Behind the end of a comment; comments nest, and end where naga ends them. */
function blockEnd(text: string, at: number): number {
  let depth = 1;
  let before: string | undefined = text[at++];
  while (depth > 0 && at < text.length) {
    const c = text[at++]!;
    if (before == "*" && c == "/") depth--;
    else if (before == "/" && c == "*") depth++;
    else {
      before = c;
      continue;
    }
    before = undefined;
  }
  return Math.min(at, text.length);
}

/** Counts a kernel's text and gives its size once everything is written out. */
export function measure(text: string, bytes: number, fail: Fail): number {
  if (bytes > BYTES) fail(`the source has ${bytes} bytes, at most ${BYTES} are allowed`);
  const list = tokens(text);
  count(list, fail);
  const expanded = new Sizes(list, fail).sum();
  checkExpanded(expanded, bytes, FREE, fail);
  return expanded;
}

/** Whether kernels with `bytes` of text in all may be written out to so many tokens. */
export const checkExpanded = (expanded: number, bytes: number, free: number, fail: Fail) =>
  most(fail, EXPANDED_WHAT, expanded, free + PER_BYTE * bytes);

function count(list: string[], fail: Fail) {
  // For each open block, how many `else` of the same chain came before what is in it now.
  const open: number[] = [];
  let [chained, brackets, statement, statements, branches] = [0, 0, 0, 0, 0];
  let closed = false;
  for (const token of list) {
    if (closed && open.length) {
      if (token == "else") {
        open[open.length - 1]!++;
        chained++;
      } else {
        chained -= open[open.length - 1]!;
        open[open.length - 1] = 0;
      }
    }
    closed = token == "}";
    statement++;
    if (token == "(" || token == "[") brackets++;
    else if (token == ")" || token == "]") brackets = Math.max(0, brackets - 1);
    else if (token == "{") open.push(0);
    else if (closed) chained -= open.pop() ?? 0;
    else if (BRANCH.test(token)) branches++;
    if (token == "{" || closed || token == ";") {
      statements++;
      statement = 0;
    }
    most(fail, "nested blocks in its source", open.length + chained, BLOCKS);
    most(fail, "nested brackets in its source", brackets, BRACKETS);
    most(fail, "tokens in a statement of its source", statement, STATEMENT);
    most(fail, "statements in its source", statements, STATEMENTS);
    most(fail, "branches and loops in its source", branches, BRANCHES);
  }
}

/** The name that a declaration introduces. */
function declaredName(declaration: string[]): string | undefined {
  let at = declaration.findIndex((token) => DECLARING.test(token)) + 1;
  if (at < 1) return;
  if (declaration[at] == "<") {
    at = declaration.indexOf(">", at) + 1;
    if (at < 1) return;
  }
  const name = declaration[at];
  return name !== undefined && WORD.test(name) ? name : undefined;
}

/** Sizes of declarations: as many as their tokens, a name of another one counting as that, `array<T, n>` as n times T. */
class Sizes {
  private declarations: string[][] = [];
  private names = new Map<string, number>();
  /** Of each declaration its size and the longest row of declarations it is made of; null while it is looked at. */
  private known: ([number, number] | null | undefined)[] = [];
  private row = 0;
  private array = 0;

  constructor(
    list: string[],
    private fail: Fail,
  ) {
    let [start, depth] = [0, 0];
    list.forEach((token, i) => {
      if (token == "{") depth++;
      else if (token == "}") depth = Math.max(0, depth - 1);
      if (depth == 0 && (token == ";" || token == "}")) {
        this.declarations.push(list.slice(start, i + 1));
        start = i + 1;
      }
    });
    if (start < list.length) this.declarations.push(list.slice(start));
  }

  sum(): number {
    most(this.fail, "declarations in its source", this.declarations.length, DECLARATIONS);
    this.declarations.forEach((declaration, i) => {
      const name = declaredName(declaration);
      if (name) this.names.set(name, i);
    });
    let sum = 0;
    this.declarations.forEach((_, i) => (sum += this.declaration(i, CHAIN)));
    most(this.fail, EXPANDED_WHAT, sum, EXPANDED);
    return sum;
  }

  /** What is left of the limit, one declaration or array further in. */
  private deeper(chain: number): number {
    if (chain < 1) most(this.fail, "declarations and arrays in a row in its source", CHAIN + 1, CHAIN);
    return chain - 1;
  }

  private declaration(index: number, chain: number): number {
    const known = this.known[index];
    if (known) {
      this.row = Math.max(this.row, known[1]);
      return known[0];
    }
    if (known === null) this.fail("a declaration in its source names itself");
    chain = this.deeper(chain);
    this.known[index] = null;
    const { row: outer, array } = this;
    this.row = 0;
    const tokens = this.declarations[index]!;
    const at = tokens.indexOf("var");
    const shared = at >= 0 && tokens[at + 1] == "<" && /^(storage|uniform|workgroup)$/.test(tokens[at + 2] ?? "");
    this.array = shared ? ARRAY : PRIVATE_ARRAY;
    const size = this.body(tokens, chain);
    this.array = array;
    const row = this.row + 1;
    this.deeper(CHAIN + 1 - row);
    this.known[index] = [size, row];
    this.row = Math.max(outer, row);
    return size;
  }

  private body(tokens: string[], chain: number): number {
    // What local constants were made of; of several with one name the largest.
    const constants = new Map<string, number>();
    let open: [string, number] | undefined;
    let own = declaredName(tokens);
    let [sum, depth] = [0, 0];
    for (let at = 0; at < tokens.length;) {
      const token = tokens[at]!;
      if (token == "{") depth++;
      else if (token == ";" && open) {
        constants.set(open[0], Math.max(constants.get(open[0]) ?? 0, sum - open[1]));
        open = undefined;
      }
      let size = 1;
      if (token == "array" && tokens[at + 1] == "<") [size, at] = this.ofArray(tokens, at, chain);
      else if (token == "const" && depth > 0) {
        const name = tokens[at + 1];
        open = name !== undefined && WORD.test(name) ? [name, sum] : undefined;
        size = 2;
        at += 2;
      } else {
        at++;
        if (WORD.test(token)) {
          // Where it is declared it names itself.
          const global = own == token ? 1 : this.name(token, chain);
          if (own == token) own = undefined;
          size = Math.max(constants.get(token) ?? 1, global);
        }
      }
      sum += size;
    }
    return sum;
  }

  private name(name: string, chain: number): number {
    const index = this.names.get(name);
    return index === undefined ? 1 : this.declaration(index, chain);
  }

  /** The size of `array<T, n>`, whose first token is at `at`, and where it ends. */
  private ofArray(tokens: string[], at: number, chain: number): [number, number] {
    chain = this.deeper(chain);
    const unreadable = () => this.fail("the size of an array in its source cannot be used: it is no number");
    let [element, inner] = [0, 0];
    for (at += 2; ;) {
      const token = tokens[at] ?? unreadable();
      let size = 1;
      if (token == "array" && tokens[at + 1] == "<") [size, at] = this.ofArray(tokens, at, chain);
      else {
        if (token == "," && inner == 0) break;
        if (token == ">" && inner == 0) return [Math.max(element, 1), at + 1];
        if (token == "<") inner++;
        else if (token == ">") inner--;
        else if (/^[;{}]$/.test(token)) unreadable();
        else if (WORD.test(token)) size = this.name(token, chain);
        at++;
      }
      element += size;
    }
    const end = tokens[at + 2] == ">" ? at + 3 : tokens[at + 2] == "," && tokens[at + 3] == ">" ? at + 4 : unreadable();
    const count = this.number(tokens[at + 1]) ?? unreadable();
    const size = Math.max(element, 1) * count;
    most(this.fail, "elements of an array in its source", size, this.array);
    return [Math.max(size, 1), end];
  }

  /** The value of a number, or of a constant that is one. */
  private number(token = ""): number | undefined {
    if (WORD.test(token)) {
      const declaration = this.declarations[this.names.get(token) ?? -1] ?? [];
      const [keyword, name] = declaration;
      const [equals, value, end] = declaration.slice(-3);
      if (declaration.length < 5 || keyword != "const" || !WORD.test(name!) || equals != "=" || end != ";") return;
      token = value!;
    }
    if (!/^\d/.test(token)) return;
    const digits = token.replace(/[ui]+$/, "");
    if (/^0x/i.test(digits) ? /^0x[\da-f]+$/i.test(digits) : /^\d+$/.test(digits)) return Number(digits);
  }
}
