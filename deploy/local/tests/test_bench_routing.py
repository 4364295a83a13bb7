"""`fairlead bench routing`: files of each shape are recognised, faulty ones refused in one line, figures written."""

import json
from pathlib import Path

import pytest
from fairlead import cli
from fairlead.bench.files import model_of, provider_of
from fairlead_common.snapshots.predictor import LearnedTable

DATA = Path(__file__).parents[3] / ".." / "shared" / "data"


def scores(count: int) -> list[dict[str, object]]:
    words = ("sum of numbers", "poem about rain")
    return [
        {"question": f"{words[n % 2]} {n}", "scores": {"x": n % 2, "y": 1 - n % 2}, "cluster_id": n % 2}
        for n in range(count)
    ]


def test_outcomes_are_judged_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test.json").write_text(json.dumps(scores(60)))
    prices = {name: {"input_price": price, "output_price": price} for name, price in (("x", 1), ("y", 2))}
    (tmp_path / "default_llm.json").write_text(json.dumps(prices))
    assert cli.main(["bench", "routing", "--data", str(tmp_path), "--json", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr().out
    assert "60 prompts, 2 models" in printed
    assert "cheapest" in printed
    found = json.loads((tmp_path / "out.json").read_text())
    assert [each["cost_weight"] for each in found] == [0.0, 0.05, 0.2]
    assert found[0]["policies"]["per-task best"]["regret"]["value"] == 0


def test_graded_outcomes_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        f"p{n},{model},{int(n % 3 != 0 or model == 'good')}" for n in range(40) for model in ("good", "bad")
    ]
    (tmp_path / "outcomes_x.csv").write_text("prompt_id,model,correct\n" + "\n".join(rows) + "\n")
    assert cli.main(["bench", "routing", str(tmp_path / "outcomes_x.csv")]) == 0
    assert "40 prompts, 2 models" in capsys.readouterr().out


def test_a_trace_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        f"2024-04-{day:02}T08:00:00,sea,{provider}/llama-3-8b-chat,{provider},{seconds}"
        for day in range(1, 11)
        for provider, seconds in (("groq.com", 0.3), ("octo.ai", 0.9))
    ]
    (tmp_path / "t.csv").write_text("time,region,model,provider,total_time_s\n" + "\n".join(rows) + "\n")
    assert cli.main(["bench", "routing", str(tmp_path / "t.csv")]) == 0
    assert "goal of 90% eps-optimal contexts: reached" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "x,y\n1,2\n", "is not of a known shape"),
        ("a.json", "{", "is not JSON"),
        ("a.json", json.dumps(scores(3)), "at least 20 prompts of 2 models are needed"),
        ("a.csv", "prompt_id,model,correct\np,m,yes\n", "record 1: correct should be a number, found 'yes'"),
        ("a.csv", "time,region,model,total_time_s\nnoon,sea,m,1\n", "record 1: time should be ISO 8601"),
    ],
)
def test_a_faulty_file_is_refused_in_one_line(
    name: str, text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    assert cli.main(["bench", "routing", str(tmp_path / name)]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_nothing_named_and_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "routing"]) == 2
    assert cli.main(["bench", "routing", "--data", str(tmp_path)]) == 2
    assert cli.main(["bench", "routing", str(tmp_path / "absent.csv")]) == 2
    printed = capsys.readouterr().err
    assert "name files, or a folder" in printed
    assert "no outcomes or latencies found" in printed
    assert "does not exist" in printed


def test_names_of_the_same_model_and_provider_are_one() -> None:
    names = (
        "fireworks.ai/llama-v2-70b-chat",
        "together.ai/Llama-2-70b-chat-hf",
        "fixie-llama-2-70b.eastus2.azure",
    )
    assert {model_of(name) for name in names} == {"llama-2-70b"}
    assert provider_of({"provider": "", "model": "fixie-llama-2-70b.eastus2.azure"}) == "azure.eastus2"
    assert provider_of({"provider": "api.groq.com", "model": "x"}) == "groq.com"


def test_recorded_latencies_show_a_gain_over_median_history(capsys: pytest.CaptureFixture[str]) -> None:
    if not (DATA / "thefastest_ai").is_dir():
        pytest.fail(f"{DATA} is absent: the recorded latencies are read from there")
    assert cli.main(["bench", "routing", "--data", str(DATA / "thefastest_ai")]) == 0
    assert "fairlead over median history: +" in capsys.readouterr().out


def test_a_table_is_written_only_when_it_is_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learnable = [{**row, "cluster_id": 0} for row in scores(200)]
    (tmp_path / "good.json").write_text(json.dumps(learnable))
    out = tmp_path / "table.json"
    assert cli.main(["quality", "train", str(tmp_path / "good.json"), "--out", str(out)]) == 0
    table = LearnedTable.model_validate_json(out.read_text())
    assert (table.models, table.evaluation.passed, table.evaluation.prompts) == (["x", "y"], True, 200)
    assert sum(each.prompts for each in table.clusters) == 200
    same = [{**row, "scores": {"x": 1, "y": 1}} for row in learnable]
    (tmp_path / "same.json").write_text(json.dumps(same))
    assert cli.main(["quality", "evaluate", str(tmp_path / "same.json")]) == 0
    capsys.readouterr()
    refused = tmp_path / "none.json"
    assert cli.main(["quality", "train", str(tmp_path / "same.json"), "--out", str(refused)]) == 1
    assert "does not exclude a loss" in capsys.readouterr().err
    assert not refused.exists()


def run(capsys: pytest.CaptureFixture[str], file: Path, out: Path) -> tuple[str, list[dict[str, object]]]:
    """What is printed and written about one file."""
    assert cli.main(["bench", "routing", str(file), "--json", str(out)]) == 0
    return capsys.readouterr().out, json.loads(out.read_text())


def test_other_columns_orders_and_spellings_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [
        (f"p{n}", model, n % 3 != 0 or model == "good") for n in range(60) for model in ("good", "bad", "x")
    ]
    plain = "prompt_id,model,correct\n" + "".join(f"{p},{m},{int(c)}\n" for p, m, c in cells)
    turned = "\ufeffcorrect, extra, model, prompt_id\n" + "".join(
        f"{c}, , {m}, {p}\n" for p, m, c in cells[::-1]
    )
    (tmp_path / "plain.csv").write_text(plain)
    (tmp_path / "turned.csv").write_text(turned)
    _, one = run(capsys, tmp_path / "plain.csv", tmp_path / "one.json")
    _, other = run(capsys, tmp_path / "turned.csv", tmp_path / "other.json")
    best = [each[0]["policies"]["best single"]["of_oracle"]["value"] for each in (one, other)]  # type: ignore[index]
    assert best == [1.0, 1.0]


def test_missing_cells_are_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = scores(60)
    for row in rows[::7]:
        row["scores"] = {"x": None, "y": "nan"}
    for row in rows[1::9]:
        row["scores"] = {"x": row["scores"]["x"]}  # type: ignore[index]
        del row["cluster_id"]
    (tmp_path / "gaps.json").write_text(json.dumps(rows))
    printed, found = run(capsys, tmp_path / "gaps.json", tmp_path / "out.json")
    assert "60 prompts, 2 models" in printed
    assert "NaN" not in json.dumps(found)


def test_outcomes_that_cannot_be_compared_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"p{n},model-{n % 5},1" for n in range(100)]
    (tmp_path / "outcomes.csv").write_text("prompt_id,model,correct\n" + "\n".join(rows))
    assert cli.main(["bench", "routing", str(tmp_path / "outcomes.csv")]) == 2
    assert "fewer than 2 models have an outcome for half of the prompts" in capsys.readouterr().err


def test_traces_of_any_pace_are_judged_round_by_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        f"{1_700_000_000 + 60 * n},{'' if n % 9 == 4 else seconds},m,eu,{provider}"
        for n in range(50)
        for provider, seconds in (("quick", 0.5), ("slow", 2.0))
    ]
    (tmp_path / "trace.csv").write_text("time,total_time_s,model,region,provider\n" + "\n".join(rows))
    printed, found = run(capsys, tmp_path / "trace.csv", tmp_path / "out.json")
    assert "22 held-out cases" in printed
    assert found[0]["policies"]["fairlead"]["eps_optimal"]["value"] == 1.0  # type: ignore[index]
    alone = "".join(f"{1_700_000_000 + 60 * n},0.5,m,eu,quick\n" for n in range(50))
    (tmp_path / "alone.csv").write_text("time,total_time_s,model,region,provider\n" + alone)
    assert cli.main(["bench", "routing", str(tmp_path / "alone.csv")]) == 2
    assert "there is nothing to choose between" in capsys.readouterr().err


def test_learning_from_a_workspace_needs_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = "http://127.0.0.1:1"
    assert cli.main(["quality", "evaluate", "--from-workspace", url]) == 2
    assert "--key-file" in capsys.readouterr().err
    words = ["quality", "evaluate", "--from-workspace", url, "--key-file"]
    assert cli.main([*words, str(tmp_path / "none")]) == 2
    assert "cannot read the API key" in capsys.readouterr().err
    (tmp_path / "key").write_text("fl-key")
    assert cli.main([*words, str(tmp_path / "key")]) == 2
    assert "does not answer" in capsys.readouterr().err


def test_only_a_table_can_be_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text("fl-key")
    table, key = tmp_path / "table.json", ["--key-file", str(tmp_path / "key")]
    words = ["quality", "install", str(table), "--url", "http://127.0.0.1:1", *key]
    assert cli.main(words) == 2
    assert f"cannot read '{table}'" in capsys.readouterr().err
    table.write_text('{"clusters": []}')
    assert cli.main(words) == 2
    assert "is no table of `fairlead quality train`: evaluation: Field required" in capsys.readouterr().err
    learnable = [{**row, "cluster_id": 0} for row in scores(200)]
    (tmp_path / "good.json").write_text(json.dumps(learnable))
    assert cli.main(["quality", "train", str(tmp_path / "good.json"), "--out", str(table)]) == 0
    assert cli.main([*words, "--model", "z=openai/z"]) == 2
    assert "the table has no model 'z'; it has x, y" in capsys.readouterr().err
    assert cli.main([*words, "--model", "x=openai/x"]) == 2
    assert "does not answer" in capsys.readouterr().err
