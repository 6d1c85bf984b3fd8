"""The layers of a model in the order in which they run, from `kiln dump MODEL --format json`: what reads what, in which shape."""
import json
import sys

dump = json.load(sys.stdin)
assert (dump["format"], dump["version"]) == ("kiln-dump", 1), "another form"
types = {value["name"]: f"{value['type']}{value['shape']}" for value in dump["graph"]["values"]}
for node in dump["graph"]["nodes"]:
    inputs = ", ".join(f"{name}: {types[name]}" for name in node["inputs"])
    print(f"{node['name']} = {node['operator']}({inputs}) {node['attributes']}")
