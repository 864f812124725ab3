"""Print infra/docs/events.md from the contracts: what is published, by whom, for whom, how long.

`.venv/bin/python infra/checks/events_page.py > infra/docs/events.md`
"""

import msgspec
from seda_contracts.registry import REGISTRY, Entry
from seda_contracts.streams import DAY_SECONDS, STREAMS, Stream

SCHEMAS = "../../contracts/schemas"
KINDS = {"evt": "Events", "cmd": "Commands", "state": "Snapshots"}
MEANINGS = {
    "evt": "Facts that happened. Delivered at least once, in order per key.",
    "cmd": "Work for exactly one service; removed from its queue when done.",
    "state": "The latest state of one thing; older ones are forgotten.",
}
CLASSES = {
    "A": "must take effect exactly once; a dead letter is looked at by a person",
    "B": "a projection; carries a version or `seq`, so a reader drops what it has passed",
    "C": "work and its outcome; retried, may expire, can be asked for again",
    "D": "live signals on core NATS; best effort, repaired by `seq`, not in these tables",
}


def retention(stream: Stream) -> str:
    days = stream.max_age_seconds // DAY_SECONDS
    age = f"{days} day" if days == 1 else f"{days} days"
    if stream.latest_only:
        return "the latest per subject"
    return f"until done, at most {age}" if stream.work_queue else age


def event_row(entry: Entry) -> str:
    contract = entry.contract
    fields = ", ".join(field.name for field in msgspec.structs.fields(contract))
    consumers = ", ".join(entry.consumers) or "–"
    personal = "yes" if entry.personal_data else ""
    producers = ", ".join(entry.producers)
    return (
        f"| [`{contract.TYPE}`]({SCHEMAS}/{contract.TYPE}.json) "
        f"| {contract.KEY} | {producers} | {consumers} "
        f"| {entry.stream.name} | {entry.delivery_class} | {personal} | {fields} |"
    )


def graph() -> list[str]:
    """Services as a Mermaid picture; an arrow is labelled with what travels along it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for entry in REGISTRY:
        for producer in entry.producers:
            for consumer in entry.consumers:
                listener = consumer.partition(".")[0]
                arrows.setdefault((producer, listener), []).append(entry.contract.TYPE)
    lines = ["```mermaid", "flowchart LR"]
    for (producer, listener), types in sorted(arrows.items()):
        lines.append(f'  {producer} -->|"{"<br>".join(types)}"| {listener}')
    return [*lines, "```"]


def page() -> str:
    lines = [
        "# Events",
        "",
        "Written by `infra/checks/events_page.py` from the contracts; a test compares.",
        "The subject is `seda.<kind>.<type>.<key>`, the CloudEvents attributes travel as `ce-*`",
        "headers, the body is the data as JSON. A type links to its JSON Schema. How to subscribe,",
        "and how to change one: [contracts/README.md](../../contracts/README.md).",
    ]
    for kind, title in KINDS.items():
        prefix = f"seda.{kind}."
        entries = [e for e in REGISTRY if e.contract.subject_filter().startswith(prefix)]
        lines += ["", f"## {title}", "", MEANINGS[kind], ""]
        lines.append(
            "| type | key | producer | consumers | stream | class | personal data | fields |"
        )
        lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
        lines += [event_row(entry) for entry in entries]
    lines += ["", "## Classes", "", "| class | what it promises |", "| --- | --- |"]
    lines += [f"| {name} | {promise} |" for name, promise in CLASSES.items()]
    lines += ["", "## Who speaks to whom", "", *graph()]
    lines += ["", "## Streams", "", "| stream | subjects | kept |", "| --- | --- | --- |"]
    for stream in STREAMS:
        subjects = ", ".join(f"`{subject}`" for subject in stream.subjects)
        lines.append(f"| {stream.name} | {subjects} | {retention(stream)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
