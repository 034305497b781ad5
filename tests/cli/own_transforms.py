"""Two transforms of one's own, and what they do to a file."""

TRANSFORM = '''
from dockfix.syntax.edit import Edit
from dockfix.transform import Fix, Phase, Safety, Skip, transform


def replacing(build, old, new):
    at = build.dockerfile.text.find(old)
    if at >= 0:
        line = build.dockerfile.text.count("\\n", 0, at) + 1
        yield Fix(f"Say {new}", {build.path: [Edit(at, at + len(old), new)]}, line, notes=("look twice",))


@transform(safety=Safety.SAFE, phase=Phase.CONTENT, options={"word": "uno"})
def say_uno(build):
    """Say uno."""
    yield from replacing(build, "one", build.options["word"])
    yield Skip("the last line is holy", 1)


@transform(safety=Safety.REVIEW, phase=Phase.CONTENT)
def say_due(build):
    """Say due."""
    yield from replacing(build, "two", "due")
'''
TEXT = "FROM scratch\nRUN one\nRUN two\n"
BOTH = "FROM scratch\nRUN uno\nRUN due\n"
