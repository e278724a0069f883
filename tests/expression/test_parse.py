"""Which texts are formulas, which are not, and what is said of those."""

import re
import time

import pytest

from hplaw.errors import LawError
from hplaw.expression import Kind, Scope, Symbol, Type, infer, names_in, parse
from hplaw.expression.functions import MAX_DEPTH, MAX_LENGTH
from hplaw.expression.parse import parse_call
from hplaw.expression.tree import Binary, Call, Item, Name, Node, Number, Reduce, Unary
from tests.helpers import is_one_sentence


def shown(node: Node) -> str:
    """Return a tree with every pair of parentheses written."""
    match node:
        case Number(text=text):
            return text
        case Name(name=name):
            return name
        case Item(name=name, keys=keys):
            return f"{name}[{', '.join(key.name for key in keys)}]"
        case Unary(operator=operator, x=x):
            return f"({operator} {shown(x)})"
        case Binary(operator=operator, left=left, right=right):
            return f"({shown(left)} {operator} {shown(right)})"
        case Reduce(function=function, index=index, body=body):
            return f"{function}({index}, {shown(body)})"
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(map(shown, arguments))})"
    raise AssertionError(node)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1", "1"),
        ("  x  ", "x"),
        ("1.", "1."),
        (".5", ".5"),
        ("1e-3", "1e-3"),
        ("2.5E+10", "2.5E+10"),
        ("a + b - c", "((a + b) - c)"),
        ("a - b + c", "((a - b) + c)"),
        ("a - (b + c)", "(a - (b + c))"),
        ("a * b / c", "((a * b) / c)"),
        ("a / b * c", "((a / b) * c)"),
        ("a + b * c", "(a + (b * c))"),
        ("(a + b) * c", "((a + b) * c)"),
        ("a ** b ** c", "(a ** (b ** c))"),
        ("-a ** b", "(- (a ** b))"),
        ("a ** -b", "(a ** (- b))"),
        ("a ** -b ** c", "(a ** (- (b ** c)))"),
        ("a * -b", "(a * (- b))"),
        ("-a * b", "((- a) * b)"),
        ("--a", "(- (- a))"),
        ("-a + b", "((- a) + b)"),
        ("2 * x ** 2 / y", "((2 * (x ** 2)) / y)"),
        ("a < b", "(a < b)"),
        ("a + 1 <= b * 2", "((a + 1) <= (b * 2))"),
        ("a < b and c > d", "((a < b) and (c > d))"),
        ("a < b or c > d and e == f", "((a < b) or ((c > d) and (e == f)))"),
        ("not a < b", "(not (a < b))"),
        ("not a < b and c < d", "((not (a < b)) and (c < d))"),
        ("not not a < b", "(not (not (a < b)))"),
        ("not (a < b or c < d)", "(not ((a < b) or (c < d)))"),
        ("a < b or c < d or e < f", "(((a < b) or (c < d)) or (e < f))"),
        ("min(a, b, c + 1)", "min(a, b, (c + 1))"),
        ("where(a < b, 1, 0)", "where((a < b), 1, 0)"),
        ("sum(k, x * w[k])", "sum(k, (x * w[k]))"),
        ("prod(k, x)", "prod(k, x)"),
        ("t[a, b] * 2", "(t[a, b] * 2)"),
        ("interp(log(x), curve)", "interp(log(x), curve)"),
        ("2 * pi", "(2 * pi)"),
        ("a*(b+c)**-2", "(a * ((b + c) ** (- 2)))"),
        ("a\t+\nb", "(a + b)"),
        ("(a < b) == (c < d)", "((a < b) == (c < d))"),
        ("_x1 + X_", "(_x1 + X_)"),
    ],
)
def test_a_formula_binds_as_in_mathematics(text: str, tree: str) -> None:
    assert shown(parse(text)) == tree
    assert shown(parse(tree)) == tree


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "ends too soon"),
        ("   ", 4, "ends too soon"),
        ("a +", 4, "ends too soon"),
        ("a + * b", 5, "a number or a name is missing before '*'"),
        ("(a", 3, "')' is missing at the end"),
        ("a)", 2, "')' does not belong here"),
        ("a b", 3, "'b' does not belong here"),
        ("2x", 1, "'2x' is not a number"),
        ("1.5.2", 1, "'1.5.2' is not a number"),
        ("1e", 1, "'1e' is not a number"),
        ("0x10", 1, "'0x10' is not a number"),
        ("1_000", 1, "'1_000' is not a number"),
        ("a.b", 2, "'.' is not allowed"),
        ("a . b", 3, "'.' is not allowed"),
        ("'a'", 1, '"\'" is not allowed'),
        ('a + "b"', 5, "'\"' is not allowed"),
        ("a = b", 3, "'=' is not allowed"),
        ("a != b", 3, "'!' is not allowed"),
        ("a // b", 4, "a number or a name is missing before '/'"),
        ("a % b", 3, "'%' is not allowed"),
        ("a ^ b", 3, "'^' is not allowed"),
        ("a @ b", 3, "'@' is not allowed"),
        ("a if b else c", 3, "'if' does not belong here"),
        ("lambda x: x", 8, "'x' does not belong here"),
        ("[a for a in b]", 1, "missing before '['"),
        ("{a}", 1, "'{' is not allowed"),
        ("a; b", 2, "';' is not allowed"),
        ("a # b", 3, "'#' is not allowed"),
        ("a := b", 3, "':' is not allowed"),
        ("a\\b", 2, "is not allowed"),
        ("é", 1, "'é' is not allowed"),
        ("x + ∑", 5, "is not allowed"),
        ("٣", 1, "is not allowed"),
        ("a\x00", 2, "is not allowed"),
        ("+a", 1, "missing before '+'"),
        ("a < b < c", 7, "comparisons cannot be chained"),
        ("a == b == c", 8, "comparisons cannot be chained"),
        ("print(a)", 1, "'print' is not a function"),
        ("a + lgo(b)", 5, "did you mean 'log'?"),
        ("a + expm(b)", 5, "did you mean 'exp"),
        ("__import__(os)", 1, "'__import__' is not a function"),
        ("x()", 1, "'x' is not a function"),
        ("(a)(b)", 4, "'(' does not belong here"),
        ("log(a)(b)", 7, "'(' does not belong here"),
        ("log()", 1, "log takes 1 arguments, 0 given"),
        ("log(a, b)", 1, "log takes 1 arguments, 2 given"),
        ("min(a)", 1, "min takes 2 or more arguments"),
        ("where(a, b)", 1, "where takes 3 arguments"),
        ("log(a,)", 7, "missing before ')'"),
        ("log(,a)", 5, "missing before ','"),
        ("log(a b)", 7, "',' is missing before 'b'"),
        ("log(x=a)", 6, "'=' is not allowed"),
        ("log(*a)", 5, "missing before '*'"),
        ("sum(a)", 1, "sum takes an index and an expression"),
        ("sum(1, a)", 1, "sum takes an index and an expression"),
        ("sum(a + b, c)", 1, "sum takes an index"),
        ("t[1]", 3, "a key of t[...] is a name"),
        ("t[]", 3, "a key of t[...] is a name"),
        ("t[a + b]", 5, "']' is missing before '+'"),
        ("t[a", 4, "']' is missing at the end"),
        ("t[a][b]", 5, "'[' does not belong here"),
        ("t[a, ]", 6, "a key of t[...] is a name"),
        ("t[not]", 3, "a key of t[...] is a name"),
        ("(a + b)[k]", 8, "'[' does not belong here"),
        ("1e999", 1, "1e999 is too large for a number"),
        ("a + 1e400", 5, "1e400 is too large for a number"),
        ("and", 1, "missing before 'and'"),
        ("a and", 6, "ends too soon"),
        ("a not b", 3, "'not' does not belong here"),
        ("a + not b", 5, "missing before 'not'"),
        ("-not a", 2, "missing before 'not'"),
    ],
)
def test_what_is_no_formula_is_refused_with_its_column(text: str, column: int, says: str) -> None:
    with pytest.raises(LawError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith(f"column {column}: "), message
    assert says in message
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "1 + " * (MAX_LENGTH // 4) + "1",
        "x" * (MAX_LENGTH + 1),
        "1" * 1_000_000,
        "(" * 1_000_000,
        "(" * 10_000 + "x" + ")" * 10_000,
        "(" * 1_900 + "x" + ")" * 1_900,
        "-" * 3_999 + "x",
        "not " * 900 + "x < 1",
        "x**" * 1_300 + "x",
        "log(" * 990 + "x",
        "exp(log(" * 400 + "x" + "))" * 400,
        "where(x < 1, 1, " * 200 + "x" + ")" * 200,
        "sum(k, " * 500 + "x" + ")" * 500,
        "x - (" * 700 + "x" + ")" * 700,
        "1+" * 1_999 + "1",
        "x<1 and " * 400 + "x<1",
        "1" * 3_999 + "a",
        "1" * 2_000 + "." + "1" * 1_990 + "e",
        " " * 3_990 + "'",
        "[" * 4_000,
        "a[" * 2_000,
        "a," * 2_000,
        "\n" * 5_000,
    ],
)
def test_what_is_too_large_is_refused_and_does_not_hang(text: str) -> None:
    begin = time.process_time()
    with pytest.raises(LawError) as caught:
        parse(text)
    # a thousand times what it takes; no other process is counted
    assert time.process_time() - begin < 1.0
    assert is_one_sentence(caught.value)


def test_a_formula_may_have_4000_characters_and_nest_64_levels() -> None:
    assert (MAX_LENGTH, MAX_DEPTH) == (4_000, 64)
    chain = " " * 3_990 + "1 + 2 * x"
    assert shown(parse(chain[-4_000:])) == "(1 + (2 * x))"
    parse("+".join(["x"] * 64))
    parse("(" * 31 + "x" + ")" * 31)
    with pytest.raises(LawError, match="nests deeper than 64 levels"):
        parse("+".join(["x"] * 65))
    with pytest.raises(LawError, match=r"at most 4,000 are allowed"):
        parse("x" * 4_001)


def test_priors_are_read_by_the_same_rules() -> None:
    functions = {"normal": 2, "fixed": 1}
    assert shown(parse_call("normal(log(2e-3), -1)", functions)) == "normal(log(2e-3), (- 1))"
    for text, says in [
        ("normal(0)", "normal takes 2 arguments, 1 given"),
        ("normal(0, 1) + 1", "'+' does not belong here"),
        ("nomal(0, 1)", "did you mean 'normal'?"),
        ("normal", "'(' is missing at the end"),
        ("log(1)", "is none of normal, fixed"),
        ("normal(0, 1" + " " * 4_000 + ")", "at most 4,000 are allowed"),
        ("fixed(" + "(" * 100, "nests deeper"),
        ("", "is none of"),
    ]:
        with pytest.raises(LawError) as caught:
            parse_call(text, functions)
        assert says in str(caught.value)


# Names and types

SCOPE = Scope(
    {
        "x": Symbol(Kind.INPUT),
        "y": Symbol(Kind.PARAMETER),
        "kind": Symbol(Kind.INPUT, Type.CATEGORY),
        "w": Symbol(Kind.PARAMETER, Type.NUMBER, ("k",)),
        "v": Symbol(Kind.PARAMETER, Type.NUMBER, ("other",)),
        "k": Symbol(Kind.INDEX, Type.CATEGORY, ("k",)),
        "other": Symbol(Kind.INDEX, Type.CATEGORY, ("other",)),
        "table": Symbol(Kind.TABLE, Type.NUMBER, (), 1),
        "wide": Symbol(Kind.TABLE, Type.NUMBER, (), 2),
        "curve": Symbol(Kind.CURVE),
        "big": Symbol(Kind.LET, Type.TRUTH),
    },
    {"k": ("a", "b"), "other": ("c", "d")},
    frozenset(["a", "b", "c", "d", "adam", "sgd"]),
)


@pytest.mark.parametrize(
    ("text", "kind", "free"),
    [
        ("x + 1", Type.NUMBER, ""),
        ("x < 1", Type.TRUTH, ""),
        ("big and x < 1", Type.TRUTH, ""),
        ("kind", Type.CATEGORY, ""),
        ("kind == adam", Type.TRUTH, ""),
        ("where(kind == adam, x, y)", Type.NUMBER, ""),
        ("where(x < 1, adam, sgd)", Type.CATEGORY, ""),
        ("w", Type.NUMBER, "k"),
        ("w * v", Type.NUMBER, "k other"),
        ("sum(k, w * x)", Type.NUMBER, ""),
        ("sum(k, w * v)", Type.NUMBER, "other"),
        ("sum(k, sum(other, w * v))", Type.NUMBER, ""),
        ("sum(k, x)", Type.NUMBER, ""),
        ("w[a]", Type.NUMBER, ""),
        ("w[k]", Type.NUMBER, "k"),
        ("k", Type.CATEGORY, "k"),
        ("sum(k, where(k == a, w, 0))", Type.NUMBER, ""),
        ("table[kind]", Type.NUMBER, ""),
        ("table[adam]", Type.NUMBER, ""),
        ("wide[kind, k]", Type.NUMBER, "k"),
        ("interp(x, curve)", Type.NUMBER, ""),
        ("pi", Type.NUMBER, ""),
    ],
)
def test_a_formula_has_a_type_and_free_indices(text: str, kind: Type, free: str) -> None:
    assert infer(parse(text), SCOPE) == (kind, frozenset(free.split()))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("z + 1", "column 1: 'z' is not a name of this law"),
        ("x + curv", "did you mean 'curve'?"),
        ("x + kind", "column 5: '+' needs a number here, not a category"),
        ("x + (x < 1)", "needs a number here, not a condition"),
        ("x and big", "'and' needs a condition here, not a number"),
        ("not x", "'not' needs a condition"),
        ("-big", "'-' needs a number"),
        ("kind < adam", "'<' needs a number"),
        ("x == adam", "'==' compares two numbers or two categories"),
        ("big == big", "'==' compares two numbers or two categories"),
        ("where(x, 1, 2)", "where needs a condition here"),
        ("where(big, 1, adam)", "both branches of where must be of one kind"),
        ("log(kind)", "log needs a number"),
        ("log(big)", "log needs a number"),
        ("sum(x, 1)", "'x' is not an index of this law"),
        ("sum(k, kind)", "sum needs a number"),
        ("table", "'table' is a table; write table[key]"),
        ("curve", "'curve' is a table; write interp(x, curve)"),
        ("table[x]", "'x' is a number; a key is a category"),
        ("table[adamw]", "'table' has no entry 'adamw'; did you mean 'adam'?"),
        ("table[adam, sgd]", "'table' takes 1 keys, 2 given"),
        ("wide[adam]", "'wide' takes 2 keys, 1 given"),
        ("w[c]", "'k' has no 'c'"),
        ("w[other]", "'w' goes over 'k', not over 'other'"),
        ("x[a]", "'x' has no entries to pick from"),
        ("z[a]", "'z' has no entries"),
        ("k[a]", "'k' has no entries to pick from"),
        ("interp(x, table)", "interp needs the name of a table with x and y"),
        ("interp(x, 1)", "interp needs the name of a table"),
        ("interp(kind, curve)", "interp needs a number"),
        ("curve[a]", "'curve' has no entries to pick from"),
    ],
)
def test_a_formula_of_the_wrong_kind_is_refused(text: str, says: str) -> None:
    with pytest.raises(LawError) as caught:
        infer(parse(text), SCOPE)
    assert re.match(r"column \d+: ", str(caught.value))
    assert says in str(caught.value)
    assert is_one_sentence(caught.value)


def test_all_names_of_a_formula_are_found() -> None:
    tree = parse("where(kind == adam, sum(k, w[a] * x), interp(y, curve))")
    assert set(names_in(tree)) == {"kind", "adam", "w", "a", "x", "y", "curve"}
