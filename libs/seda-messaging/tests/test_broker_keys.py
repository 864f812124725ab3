"""Pairs of keys for the users of the broker, and a file that keeps them."""

import re
from pathlib import Path

import nkeys
from seda_contracts.permissions import key_variable, seed_variable, users
from seda_messaging.broker_keys import kept_seeds, main, new_seed, public_key


def test_a_signature_of_the_seed_is_one_of_the_public_key() -> None:
    seed = new_seed()
    assert re.fullmatch("SU[A-Z2-7]{56}", seed)
    assert re.fullmatch("U[A-Z2-7]{55}", public_key(seed))
    pair = nkeys.from_seed(seed.encode())
    assert pair.verify(b"nonce", pair.sign(b"nonce"))


def test_a_file_gets_what_it_lacks_and_keeps_what_it_has(tmp_path: Path, capsys) -> None:
    file, own = tmp_path / ".env", new_seed()
    file.write_text(f"LOG_LEVEL=debug\n{seed_variable('crawler')}={own}")
    main(["--add-to", str(file)])
    rows = dict(line.split("=") for line in file.read_text().splitlines())
    assert rows.pop("LOG_LEVEL") == "debug"
    assert rows[seed_variable("crawler")] == own
    for user, seed in kept_seeds(rows, users()).items():
        assert rows.get(key_variable(user), public_key(seed)) == public_key(seed)
    assert len(set(kept_seeds(rows, users()).values())) == len(users())
    assert file.stat().st_mode & 0o077 == 0
    assert own not in capsys.readouterr().out
    before = file.read_text()
    main(["--add-to", str(file)])
    assert file.read_text() == before


def test_a_key_may_be_made_for_one_user(capsys) -> None:
    main(["crawler-next"])
    said = capsys.readouterr().out
    assert re.fullmatch("NATS_NKEY_SEED_CRAWLER_NEXT=SU\\w+\nNATS_NKEY_CRAWLER_NEXT=U\\w+\n", said)
