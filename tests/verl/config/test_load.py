import pytest

from verl.config import ConfigError, load_ppo_config, load_sft_config
from verl.config.load import nearest_key
from verl.config.ppo import PPOConfig


def problems_of(argv):
    with pytest.raises(ConfigError) as error:
        load_ppo_config(argv)
    return error.value.problems


def test_overrides_with_and_without_plus_mean_the_same(ppo_argv):
    for sign in ("", "+", "++"):
        assert load_ppo_config([*ppo_argv, f"{sign}trainer.val_before_train=False"]).trainer.val_before_train is False


def test_values_follow_hydras_grammar(ppo_argv):
    config = load_ppo_config([
        *ppo_argv, "trainer.logger=['console','wandb']", "data.max_response_length=1024", "data.seed=null",
        "actor_rollout_ref.rollout.val_kwargs={n: 4, do_sample: true, temperature: 0.6}",
        "actor_rollout_ref.actor.optim.lr=5e-7", "trainer.project_name='a, b = c'", "trainer.resume_from_path="
    ])
    assert config.trainer.logger == ["console", "wandb"]
    assert config.data.max_response_length == 1024
    assert config.data.seed is None
    assert config.actor_rollout_ref.rollout.val_kwargs.n == 4
    assert config.actor_rollout_ref.rollout.val_kwargs.top_p == 1.0
    assert config.actor_rollout_ref.actor.optim.lr == 5e-7
    assert config.trainer.project_name == "a, b = c"
    assert config.trainer.resume_from_path is None


def test_one_file_becomes_a_list(ppo_argv, files):
    assert load_ppo_config(ppo_argv).data.train_files == [f"{files}/rows.parquet"]


def test_names_that_look_like_numbers_stay_as_typed(ppo_argv):
    config = load_ppo_config([*ppo_argv, "trainer.experiment_name=20261120_0012", "trainer.project_name=1.50"])
    assert config.trainer.experiment_name == "20261120_0012"
    assert config.trainer.default_local_dir == "checkpoints/1.50/20261120_0012"


def test_interpolations_see_other_overrides(ppo_argv, monkeypatch):
    monkeypatch.setenv("BATCH", "64")
    config = load_ppo_config([
        *ppo_argv, "trainer.default_local_dir=/ckpt/${trainer.experiment_name}", "trainer.experiment_name=e7",
        "data.train_batch_size=${oc.env:BATCH}", "actor_rollout_ref.actor.ppo_mini_batch_size=${data.train_batch_size}"
    ])
    assert config.trainer.default_local_dir == "/ckpt/e7"
    assert config.data.train_batch_size == config.actor_rollout_ref.actor.ppo_mini_batch_size == 64


def test_open_dicts_take_any_key(ppo_argv):
    config = load_ppo_config([
        *ppo_argv, "+actor_rollout_ref.rollout.engine_kwargs.vllm.block_size=32",
        "actor_rollout_ref.rollout.engine_kwargs.vllm.hf_overrides={rope: {factor: 2.0}}",
        "actor_rollout_ref.model.override_config={attention_dropout: 0.0}",
        "++data.apply_chat_template_kwargs.enable_thinking=False", "custom_reward_function.reward_kwargs.x=[1,2]"
    ])
    assert config.actor_rollout_ref.rollout.engine_kwargs == {
        "vllm": {
            "block_size": 32,
            "hf_overrides": {
                "rope": {
                    "factor": 2.0
                }
            }
        }
    }
    assert type(config.actor_rollout_ref.rollout.engine_kwargs["vllm"]["hf_overrides"]) is dict
    assert config.actor_rollout_ref.model.override_config == {"attention_dropout": 0.0}
    assert config.data.apply_chat_template_kwargs == {"enable_thinking": False}
    assert config.custom_reward_function.reward_kwargs == {"x": [1, 2]}


@pytest.mark.parametrize("wrong, meant", [
    ("data.train_fils", "data.train_files"),
    ("data.train_batchsize", "data.train_batch_size"),
    ("trainer.lr", "actor_rollout_ref.actor.optim.lr"),
    ("critc.lr", "critic.optim.lr"),
    ("actor_rollout_ref.actor.ppo_minibatch_size", "actor_rollout_ref.actor.ppo_mini_batch_size"),
    ("trainer.train_batch_size", "data.train_batch_size"),
    ("actor_rollout_ref.rolout.n", "actor_rollout_ref.rollout.n"),
])
def test_the_nearest_key_is_named(ppo_argv, wrong, meant):
    assert nearest_key(PPOConfig, wrong) == meant
    for sign in ("", "+", "++"):
        assert problems_of([*ppo_argv, f"{sign}{wrong}=1"]) == [f"unknown key {wrong} (did you mean {meant}?)"]


@pytest.mark.parametrize("token, said", [
    ("x.y.zzz=1", "unknown key x.y.zzz (--show-args lists all keys)"),
    ("~data.seed", "~data.seed: a key cannot be removed; set data.seed to its default instead"),
    ("data.seed=1,2", "data.seed=1,2: one run takes one value; write a list as [a,b], text with commas in quotes"),
    ("trainer.nnodes", "trainer.nnodes: expected key=value"),
    ("--multirun", "unknown option --multirun: keys are set by key=value; --show-args lists them"),
    ("data.seed=abc", "data.seed=abc: expects an integer or null, got str"),
    ("trainer.balance_batch=2", "trainer.balance_batch=2: expects true or false, got int"),
    ("data.shuffle=null", "data.shuffle=None: expects true or false, got NoneType"),
    ("actor_rollout_ref.actor.optim.lr=fast", "actor_rollout_ref.actor.optim.lr=fast: expects a number, got str"),
    ("data.max_prompt_length=1.5", "data.max_prompt_length=1.5: expects an integer, got float"),
    ("trainer=3", "trainer=3: it is a group of keys, such as trainer.device"),
    ("trainer.project_name=${nope}", "trainer.project_name=${nope}: Interpolation key 'nope' not found"),
    ("actor@x=1", "actor@x=1: choose config groups in the defaults list of a YAML file, not here"),
])
def test_what_cannot_be_read_is_one_line(ppo_argv, token, said):
    assert problems_of([*ppo_argv, token]) == [said]


def test_text_that_needs_quotes_says_so(ppo_argv):
    for token in ("trainer.project_name=a=b", "trainer.project_name='${bad'"):
        (problem,) = problems_of([*ppo_argv, token])
        assert problem.startswith("trainer.project_name=")
        assert "quotes" in problem or "plain ${" in problem


def test_all_problems_come_at_once(files):
    problems = problems_of([
        "data.train_fils=x", "trainer.nnodes=many", "~data.seed", "algorithm.adv_estimator=gea",
        "actor_rollout_ref.actor.loss_agg_mode=mean", "actor_rollout_ref.model.lora_rank=8",
        f"actor_rollout_ref.model.path={files}/nowhere", "actor_rollout_ref.rollout.temperature=0"
    ])
    causes = [
        "~data.seed", "data.train_fils", "lora_rank", "trainer.nnodes", "loss_agg_mode", "adv_estimator",
        "micro-batches", "temperature", "nowhere"
    ]
    assert len(problems) == len(causes)
    assert all(any(cause in problem for problem in problems) for cause in causes)


def test_what_a_typo_leads_to_is_no_cause_of_its_own(ppo_argv):
    argv = [arg for arg in ppo_argv if not arg.startswith("data.train_files")]
    assert problems_of([*argv, "data.train_fils=x"]) == ["unknown key data.train_fils (did you mean data.train_files?)"]


def test_a_config_file_of_the_user(ppo_argv, files):
    (files / "mine.yaml").write_text("""
defaults: [ppo_trainer, sizes, _self_]
trainer:
  experiment_name: from-file
  default_local_dir: out/${trainer.experiment_name}
  max_actor_ckpt_to_keep:
actor_rollout_ref:
  actor:
    _target_: verl.workers.config.FSDPActorConfig
    optim:
      min_lr_ratio: null
      lr: 1e-6
  rollout:
    prompt_length: ${oc.select:data.max_prompt_length,512}
    n: 2
reward_model:
  micro_batch_size: ${reward_model.nowhere}
""")
    (files / "sizes.yaml").write_text("data:\n  max_prompt_length: 100\n")
    config = load_ppo_config([f"--config-path={files}", "--config-name", "mine.yaml", *ppo_argv])
    assert config.trainer.default_local_dir == "out/from-file"
    assert config.data.max_prompt_length == 100
    assert config.actor_rollout_ref.actor.optim.min_lr_ratio == 0.0
    assert config.actor_rollout_ref.rollout.n == 4  # the command line comes last


def test_unknown_keys_of_a_file_are_named(ppo_argv, files):
    (files / "mine.yaml").write_text("data:\n  train_batchsize: 3\n")
    (problem,) = problems_of([f"--config-path={files}", "--config-name=mine", *ppo_argv])
    assert problem == "unknown key data.train_batchsize (did you mean data.train_batch_size?)"


@pytest.mark.parametrize("text", ["trainer: [", "trainer:\n  project_name: ${bad\n", "defaults: [nope]\n"])
def test_a_broken_file_is_named_in_one_line(ppo_argv, files, text):
    (files / "mine.yaml").write_text(text)
    (problem,) = problems_of([f"--config-path={files}", "--config-name=mine", *ppo_argv])
    assert problem.startswith(f"{files}/mine.yaml: ")
    assert "\n" not in problem


def test_a_missing_file_is_named_with_what_there_is(ppo_argv, files):
    (files / "other.yaml").touch()
    (problem,) = problems_of([f"--config-path={files}", "--config-name=mine", *ppo_argv])
    assert problem == f"--config-name=mine: there is no mine.yaml in {files} (there is other)"


def test_published_scripts_name_the_packaged_config(ppo_argv):
    plain = load_ppo_config(ppo_argv)
    assert load_ppo_config(["--config-path=config", "--config-name=ppo_megatron_trainer.yaml", *ppo_argv]) == plain


def test_sft_takes_its_own_keys(sft_argv, files):
    config = load_sft_config([
        *sft_argv[:1], f"model.partial_pretrain={files}/model", "optim.lr_scheduler=cosine", "optim.clip_grad=0.5",
        "data.micro_batch_size=4", "trainer.n_gpus_per_node=2", "data.use_dynamic_bsz=False", "model.lora_rank=0",
        "model.fsdp_config.model_dtype=bf16", "engine.dtype=bfloat16", "data.multiturn.enable=true"
    ])
    assert config.model.path == f"{files}/model"
    assert config.optim.lr_scheduler_type == "cosine"
    assert config.optim.lr == 1e-5
    assert config.grad_clip == 0.5
    assert config.data.micro_batch_size_per_gpu == 2
    assert config.fsdp_config.model_dtype == "bf16"
    assert config.fsdp_config.mixed_precision.param_dtype == "bfloat16"
    with pytest.raises(ConfigError, match="did you mean data.max_length"):
        load_sft_config([*sft_argv, "data.max_lenght=3"])


@pytest.mark.parametrize("load", [load_ppo_config, load_sft_config])
@pytest.mark.parametrize("option", ["--help", "-h", "--show-args"])
def test_help_ends_with_code_0(load, option, capsys):
    with pytest.raises(SystemExit) as end:
        load([option, "no.such.key=1"])
    assert end.value.code == 0
    assert "key" in capsys.readouterr().out
