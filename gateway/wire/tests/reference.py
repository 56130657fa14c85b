"""Decodes every golden frame with code that the reference SBE tool generates from the schemas.

The tool is found by the environment variable SBE_TOOL, a Java class path, or else fetched from Maven Central; it is not
kept. Where there is neither, or no Java, this says so and ends with code 77.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from xml.etree import ElementTree

CRATE = pathlib.Path(__file__).resolve().parent.parent
SCHEMAS = ["session", "order_entry", "market_data"]
VERSION = "1.33.0"
JAR = f"https://repo1.maven.org/maven2/uk/co/real-logic/sbe-all/{VERSION}/sbe-all-{VERSION}.jar"
SKIPPED = 77


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def find_tool(folder):
    """The class path of the reference tool."""
    if "SBE_TOOL" in os.environ:
        return os.environ["SBE_TOOL"]
    path = folder / "sbe-all.jar"
    try:
        with urllib.request.urlopen(JAR, timeout=20) as answer, open(path, "wb") as file:
            shutil.copyfileobj(answer, file)
    except OSError as error:
        skip(f"Maven Central is not reached: {error}")
    return str(path)


def list_messages(path):
    """Writes "schema/template name" for every message."""
    lines = []
    for schema in SCHEMAS:
        root = ElementTree.parse(CRATE / "schema" / f"{schema}.xml").getroot()
        messages = [node for node in root if node.tag.endswith("message")]
        lines += [f"{root.get('id')}/{message.get('id')} {message.get('name')}" for message in messages]
    path.write_text("\n".join(lines) + "\n")


def main():
    if not shutil.which("javac"):
        skip("there is no Java compiler")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        tool = find_tool(folder)
        opened = ["--add-opens", "java.base/jdk.internal.misc=ALL-UNNAMED"]
        generated = folder / "generated"
        for schema in SCHEMAS:
            options = [f"-Dsbe.output.dir={generated}", "-Dsbe.target.language=Java", "-Dsbe.validation.stop.on.error=true"]
            schema_file = str(CRATE / "schema" / f"{schema}.xml")
            subprocess.run(["java", *opened, *options, "-cp", tool, "uk.co.real_logic.sbe.SbeTool", schema_file], check=True)
        sources = [str(path) for path in generated.rglob("*.java")]
        reader = str(CRATE / "tests" / "reference" / "Reader.java")
        classes = str(folder / "classes")
        subprocess.run(["javac", "-nowarn", "-d", classes, "-cp", tool, *sources, reader], check=True)
        list_messages(folder / "messages.txt")
        golden = str(CRATE / "tests" / "golden")
        run = ["java", *opened, "-cp", os.pathsep.join([classes, tool]), "Reader", golden, str(folder / "messages.txt")]
        subprocess.run(run, check=True)


if __name__ == "__main__":
    main()
