"""Bad agent.yaml, stretto.yaml, graph.py, tools, prompts and routes: the place, the class, what to do."""

from pathlib import Path

import pytest
from tests.test_bad_input import ENDPOINT, PLAIN, is_ours

from stretto import Agent
from stretto.errors import ConfigError, GraphError, ModelNotFound, StrettoError, ThreadError

AGENT, GRAPH, TOOL, PROMPT = "agents/a/agent.yaml", "agents/a/graph.py", "tools/t.py", "prompts/p.md"
LAUGHS = "options:\n  a: &a [x, x]\n" + "".join(
    f"  {b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
HEAD = "from stretto import END, START, Graph\nfrom stretto.graph import Conversation\n"
WITH_PROMPT = f"prompt: p\n{PLAIN}"
BUILD = "def build(spec):\n    return "
NODE = "async def n(state): return {}\n"
LINE = "Graph(Conversation).add_node('a', {}).add_edge(START, 'a').add_edge('a', END)"

Row = tuple[dict[str, str | bytes], type[StrettoError], str]
"""The files, the class, what the message holds."""

YAML: dict[str, Row] = {
    "unknown key": (
        {AGENT: "toolz: [x]\n"},
        ConfigError,
        "agent.yaml:1:1: `toolz` is not known here; did you",
    ),
    "wrong type": ({AGENT: "tools: 5\n"}, ConfigError, "agent.yaml:1:8: `tools`: expected `array`"),
    "open bracket": ({AGENT: "tools: [a\n"}, ConfigError, "agent.yaml:2:1: expected ',' or ']'"),
    "tab": ({AGENT: "limits:\n\tsteps: 5\n"}, ConfigError, "agent.yaml:2:1: found character '\\t'"),
    "a list": ({AGENT: "- a\n"}, ConfigError, "agent.yaml:1:1: Expected `object`"),
    "a key twice": (
        {AGENT: "model: a:b\nmodel: c:d\n"},
        ConfigError,
        "agent.yaml:2:1: `model` is given twice",
    ),
    "no UTF-8": ({AGENT: b"\xff\xfe\0m"}, ConfigError, "agent.yaml: is not UTF-8"),
    "a zero": ({AGENT: "model: \0\n"}, ConfigError, "agent.yaml: is not YAML"),
    "half a character": ({AGENT: 'instructions: "\\ud800"\n'}, ConfigError, "agent.yaml:1:15: holds half"),
    "a megabyte": ({AGENT: "# x\n" * 300_000}, ConfigError, "is larger than 1000000 bytes"),
    "an object": (
        {AGENT: "model: !!python/object/apply:os.getcwd []\n"},
        ConfigError,
        "agent.yaml:1:8: could not",
    ),
    "aliases that unfold": ({AGENT: LAUGHS}, ConfigError, "agent.yaml:2:6: what stands here is used again"),
    "an alias of itself": (
        {AGENT: "options: &a\n  b: *a\n"},
        ConfigError,
        "by an alias (*name); write it out",
    ),
    "too deep": ({AGENT: "options: " + "[" * 5000 + "]" * 5000}, ConfigError, "agent.yaml: is not YAML"),
    "two documents": ({AGENT: "model: a:b\n---\n{}\n"}, ConfigError, "agent.yaml:2:1: but found another"),
    "a key that is a list": ({AGENT: "? [a]\n: b\n"}, ConfigError, "agent.yaml:1:3: a key has to be a word"),
    "no date": ({AGENT: "model: 2020-99-99\n"}, ConfigError, "agent.yaml: is not YAML: month"),
    "no steps": ({AGENT: f"{PLAIN}limits: {{steps: 0}}\n"}, ConfigError, "agent.yaml:2:17: `limits.steps`"),
    "no time": (
        {AGENT: f"{PLAIN}limits: {{seconds: -1}}\n"},
        ConfigError,
        "2:19: `limits.seconds`: expected `float` >",
    ),
    "unknown key of the project": (
        {"stretto.yaml": "agnet: a\n"},
        ConfigError,
        "stretto.yaml:1:1: `agnet` is not",
    ),
    "storage that is a list": (
        {"stretto.yaml": "storage: [a]\n"},
        ConfigError,
        "stretto.yaml:1:10: `storage`",
    ),
    "storage that is a file": ({"stretto.yaml": "storage: f\n", "f": "x"}, ThreadError, "give another path"),
    "threads that are none": ({".stretto/threads.sqlite": "x" * 5000}, ThreadError, "remove what is there"),
    "routes": (
        {
            "agents/a/r.yaml": "a: {descriptio: x}\n",
            GRAPH: f"from stretto.nodes import load_routes\n{BUILD}load_routes(spec.folder / 'r.yaml')\n",
        },
        ConfigError,
        "r.yaml:1:5: `descriptio` is not known here; did you mean `description`?",
    ),
    "no routes": (
        {GRAPH: f"from stretto.nodes import load_routes\n{BUILD}load_routes(spec.folder / 'r.yaml')\n"},
        ConfigError,
        "r.yaml: cannot be read: No such file",
    ),
}
MODELS: dict[str, Row] = {
    "a provider with a slip": (
        {AGENT: "model: compatibel:x\n"},
        ModelNotFound,
        "did you mean `compatible:x`?",
    ),
    "no provider": (
        {AGENT: "model: gpt-4o\n"},
        ModelNotFound,
        "write `provider:model`, such as `openai:gpt-4o`",
    ),
    "no name": ({AGENT: "model: ''\n"}, ModelNotFound, "write `provider:model`"),
    "no address": (
        {AGENT: "model: compatible:x\n"},
        ConfigError,
        "pass base_url=... or set STRETTO_BASE_URL",
    ),
    "an address that is none": (
        {AGENT: "model: {model: 'compatible:x', base_url: 'localhost:80'}\n"},
        ConfigError,
        "must be like https://host/v1",
    ),
    "a key that is not set": (
        {AGENT: "model: {model: 'openai:x', api_key_env: NO_SUCH_KEY}\n"},
        ConfigError,
        "`NO_SUCH_KEY` of model `openai:x` is not set",
    ),
    "an option nobody takes": (
        {AGENT: f"model: {ENDPOINT[:-1]}, options: {{colour: red}}}}\n"},
        ConfigError,
        "takes no argument `colour`",
    ),
    "a local model that does not answer": (
        {AGENT: "model: local:minilm\n"},
        ModelNotFound,
        "agent.yaml:1:8: `local:minilm` is no chat model (embedding); there are `local:qwen",
    ),
    "a member that does not answer": (
        {AGENT: "model: pool:a\n", "stretto.yaml": "pools:\n  a: {members: ['local:whisper-base']}\n"},
        ConfigError,
        "stretto.yaml:2:17: `local:whisper-base` is no chat model (speech)",
    ),
    "an embedder with a slip": (
        {AGENT: "knowledge: kb\nmodels: {embed: 'locl:minilm'}\n"},
        ModelNotFound,
        "did you mean `local:minilm`?",
    ),
}
POOLS: dict[str, Row] = {
    "no members": (
        {"stretto.yaml": "pools:\n  a: {members: ['local:x']}\n  b: {members: []}\n"},
        ConfigError,
        "stretto.yaml:3:16: `pools.b.members`: expected `array` of length >= 1",
    ),
    "no weight": (
        {"stretto.yaml": "pools:\n  b: {members: [a, {model: a, weight: 0}]}\n"},
        ConfigError,
        "stretto.yaml:2:39: `pools.b.members[1].weight`: expected `float` > 0.0",
    ),
    "a slip in a pool": (
        {"stretto.yaml": "pools:\n  b: {membrs: []}\n"},
        ConfigError,
        "stretto.yaml:2:7: `membrs` is not known here; did you mean `members`?",
    ),
    "a slip in a member": (
        {"stretto.yaml": "pools:\n  b: {members: [{model: a, wieght: 1}]}\n"},
        ConfigError,
        "stretto.yaml:2:28: `wieght` is not known here; did you mean `weight`?",
    ),
    "no model of a member": (
        {"stretto.yaml": "pools:\n  b: {members: [{weight: 1}]}\n"},
        ConfigError,
        "stretto.yaml:2:17: `model` is required",
    ),
    "a share over one": (
        {"stretto.yaml": "pools: {b: {members: [a], retries: {share: 15}}}\n"},
        ConfigError,
        "`pools.b.retries.share`: expected `float` <= 1.0",
    ),
    "an unknown pool in the agent": (
        {"stretto.yaml": "pools: {b: {members: ['local:x']}}\n", AGENT: "models:\n  chat: pool:bb\n"},
        ModelNotFound,
        "agent.yaml:2:9: there is no pool `bb`: did you mean `pool:b`? Pools: b in ",
    ),
    "an unknown pool in the project": (
        {"stretto.yaml": "agent: a\nmodels: {vision: {model: 'pool:bb'}}\n", AGENT: PLAIN},
        ModelNotFound,
        "stretto.yaml:2:26: there is no pool `bb`: Pools: none",
    ),
    "a pool of itself": (
        {"stretto.yaml": "pools: {b: {members: ['pool:b']}}\n", AGENT: "model: pool:b\n"},
        ConfigError,
        "stretto.yaml:1:23: the pool `b` contains itself (b > b)",
    ),
}
CODE: dict[str, Row] = {
    "no such tools": ({AGENT: "tools: [nope]\n"}, ConfigError, "tools: `nope`: there is no file"),
    "no such tool": (
        {AGENT: "tools: ['t:g']\n", TOOL: "from stretto import tool\n@tool\ndef f(a: int):\n    'x'\n"},
        ConfigError,
        "t.py has: f",
    ),
    "tools that do not parse": (
        {AGENT: "tools: [t]\n", TOOL: "def f(:\n"},
        ConfigError,
        "t.py:1:7: SyntaxError",
    ),
    "tools that fail": (
        {AGENT: "tools: [t]\n", TOOL: "x = 1\ny = 1 / 0\n"},
        ConfigError,
        "t.py:2: ZeroDivisionError",
    ),
    "tools that exit": (
        {AGENT: "tools: [t]\n", TOOL: "raise SystemExit(3)\n"},
        ConfigError,
        "t.py:1: SystemExit",
    ),
    "no tools": ({AGENT: "tools: [t]\n", TOOL: "x = 1\n"}, ConfigError, "put @tool above a function"),
    "a tool without types": (
        {AGENT: "tools: [t]\n", TOOL: "from stretto import tool\n@tool\ndef f(a):\n    'x'\n"},
        ConfigError,
        "write its type, as in `a: str`",
    ),
    "a graph that does not parse": ({GRAPH: "def build(spec:\n"}, ConfigError, "graph.py:1:10: SyntaxError"),
    "a graph with a zero": ({GRAPH: "x = '\0'\n"}, ConfigError, "graph.py: SyntaxError"),
    "no build": ({GRAPH: "x = 1\n"}, ConfigError, "write one, or remove the file"),
    "a build that fails": (
        {GRAPH: f"{BUILD}spec.options['x']\n"},
        ConfigError,
        "graph.py:2: KeyError: 'x'; correct the file",
    ),
    "a build of nothing": (
        {GRAPH: f"{BUILD}None\n"},
        ConfigError,
        "returned NoneType; return a stretto.Graph",
    ),
    "a build without spec": (
        {GRAPH: "def build():\n    pass\n"},
        ConfigError,
        "takes 0 positional arguments",
    ),
    "a graph that exits": ({GRAPH: "raise SystemExit(3)\n"}, ConfigError, "graph.py:1: SystemExit"),
    "a missing package": ({GRAPH: "import nothing_there\n"}, ConfigError, "No module named 'nothing_there'"),
    "an unreachable node": (
        {GRAPH: f"{HEAD}{NODE}{BUILD}{LINE.format('n')}.add_node('b', n)\n"},
        GraphError,
        "add an edge or a route to it",
    ),
    "a node that is none": (
        {GRAPH: f"{HEAD}{BUILD}{LINE.format(5)}\n"},
        GraphError,
        "give a function, a Graph or a Runnable",
    ),
    "no such prompt": ({AGENT: WITH_PROMPT}, ConfigError, "there is no prompt `p`. Prompts: none"),
    "a prompt elsewhere": ({AGENT: f"prompt: ../p\n{PLAIN}"}, ConfigError, "letters, digits, _ and -"),
    "a prompt's head": (
        {AGENT: WITH_PROMPT, PROMPT: "---\na: [\n---\nhi\n"},
        ConfigError,
        "p.md:2:5: the head is not YAML",
    ),
    "a head without end": (
        {AGENT: WITH_PROMPT, PROMPT: "---\na: b\nhi\n"},
        ConfigError,
        "no second --- line",
    ),
    "code in a prompt": (
        {AGENT: WITH_PROMPT, PROMPT: "hi {{ 1 + 1 }}\n"},
        ConfigError,
        "p.md:1: `{{ 1 + 1 }}` is no place",
    ),
    "a place nobody fills": (
        {AGENT: WITH_PROMPT, PROMPT: "hi {{nobody}}\n"},
        ConfigError,
        "needs a value for {{nobody}}",
    ),
    "a prompt that is no text": (
        {AGENT: WITH_PROMPT, PROMPT: b"\xff\xff"},
        ConfigError,
        "p.md:1: is not UTF-8 text",
    ),
}
CONFIGURATIONS: dict[str, Row] = {**YAML, **MODELS, **POOLS, **CODE}


@pytest.mark.parametrize("case", CONFIGURATIONS)
async def test_a_bad_configuration_is_told_by_class_with_its_place(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STRETTO_MODEL", "STRETTO_BASE_URL", "STRETTO_EMBEDDER", "NO_SUCH_KEY"):
        monkeypatch.delenv(name, raising=False)
    files, kind, told = CONFIGURATIONS[case]
    for name, content in {"stretto.yaml": "agent: a\n", AGENT: PLAIN, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StrettoError) as raised:
        async with Agent.from_folder(tmp_path / "agents" / "a") as agent:
            await agent.run("hi", thread_id="t")
    is_ours(raised.value, kind, told)
