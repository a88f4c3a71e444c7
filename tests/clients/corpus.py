"""Files as users have them, which a set-up must restore byte for byte."""

SETTINGS_JSON: tuple[str, ...] = (
    "",
    "\n",
    "\ufeff",
    "{}",
    "{}\n",
    "{\n}\n",
    "{ }",
    "\n\n{\n\t\n}\n",
    '{"model":"opus"}',
    '{"env":{},"model":"opus"}',
    '{"env":{"NO_PROXY":null,"ANTHROPIC_API_KEY":"","ANTHROPIC_BASE_URL":"a","ANTHROPIC_BASE_URL":"b"}}',
    '{"env":{"ANTHROPIC_API_KEY":"a","ANTHROPIC_API_KEY":"b"},"env":{"\\u0041NTHROPIC_API_KEY":"c"}}',
    '{"huge":[1e999,-1E+400,123456789012345678901234567890],"half":"\\ud83d"}',
    '{"env":{"FOO":"1"}}',
    '{\n  "env": {}\n}\n',
    '{\n  "env": { "FOO": "1" },\n  "model": "opus"\n}',
    '{\n  "env": {\n    "FOO": "1"\n  }\n}\n',
    '{\n    "permissions": {\n        "allow": ["Bash(npm run *)", "Read(**)"],\n        "deny": []\n    }\n}\n',
    '{\n\t"hooks": {\n\t\t"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "x"}]}]\n\t}\n}',
    '{\r\n  "env": {\r\n    "ANTHROPIC_API_KEY": "sk-ant-mine",\r\n    "FOO": "ü"\r\n  },\r\n  "model": "opus"\r\n}\r\n',  # noqa: E501
    '\ufeff{\n  "env": {\n    "ANTHROPIC_AUTH_TOKEN": "other",\n    "ANTHROPIC_API_KEY": "both"\n  }\n}\n',
    '{\n  "env": {\n    "ANTHROPIC_BASE_URL": "https://other.example",\n    "NO_PROXY": "corp.example, .internal"\n  }\n}',  # noqa: E501
    '{"a": "}, \\"env\\": {", "b": [1, 2.5, -3e4, true, false, null], "\\u0065nv2": {"x": {"y": {}}}}',
    '{\n  "env" :{ "FOO" :"1"\n  ,"BAR": "2" }\n  , "model": "opus" }\n',
    '{\n  "enabledPlugins": {"a@b": true},\n\n\n  "statusLine": {"type": "command", "command": "~/.claude/line.sh"}\n\n}\n\n',  # noqa: E501
)

COMMENTED_JSON: tuple[str, ...] = (
    '{\n  // comments are allowed in editors\n  "env": {\n    "FOO": "1", // why\n    /* block */\n  },\n}\n',
    '{\n  "env": {\n    // nothing yet\n  }\n}\n',
    '{\n  "env": { "FOO": "1" /* last */ }, // end\n}\n',
)
"""what editors and some clients allow, but Claude Code does not"""

CONFIG_TOML: tuple[str, ...] = (
    "",
    "\n",
    "# only a comment",
    'model = "gpt-5.5"',
    'model = "gpt-5.5"\n',
    'model = "gpt-5.5" # mine\nmodel_reasoning_effort = "high"\n\n[features]\nweb_search = true\n',
    '[mcp_servers.files]\ncommand = "npx"\nargs = ["-y", "server", "[not] # a = comment"]\nenv = { A = "1", "B C" = "2" }\n',  # noqa: E501
    '[mcp_servers.files]\r\ncommand = "npx"\r\n\r\n[mcp_servers.files.env]\r\nA = "1"\r\n',
    "\ufeffmodel = \"gpt-5.5\"\n\n[tui]\ntheme = 'dark'\n",
    'model_provider = "other"\n\n[model_providers.other]\nname = "Other"\nbase_url = "https://o.example/v1"\n',
    'model_providers = { other = { name = "Other", base_url = "https://o.example" } }\n',
    'model_providers.other.name = "Other"\nmodel_providers.other.base_url = "https://o.example"\n',
    '[model_providers]\nother.name = "Other"\nother.base_url = "https://o.example"\n\n[tui]\n',
    '[model_providers.switchyard]\nname = "Mine"\nbase_url = "http://localhost:9/openai"\nwire_api = "responses"\n'
    "requires_openai_auth = true\nquery_params = { a = 'b' }\n",
    '[model_providers.switchyard]\nname = "Mine"\n\n[model_providers.switchyard.http_headers]\n"x-api-key" = "old"\n',
    'model_providers = { switchyard = { name = "Mine", env_key = "KEY" }, o = { name = "x" } }\n',
    '[[rules]]\nname = "a"\n\n[[rules]]\nname = "b"\n\n  [rules.inner]\n  model = "x"\n',
    'notify = [\n  "python3", # first\n  "~/notify.py",\n]\nprompt = """\n[model_providers.switchyard]\nmodel = "x"\n"""\n',  # noqa: E501
    "a = '''\nmodel_provider = 1\n''' # end\n\"quoted key\" = 1\n'lit.eral' = 2\na1.b.c = 3\n\n\n[projects.\"/home/me/x y\"]\n"  # noqa: E501
    'trust_level = "trusted"',
    "when = 1979-05-27T07:32:00Z\nday = 1979-05-27 07:32:00\nn = nan\nx = 0xff\ny = 1_000.5e-3\n[  a . 'b'  ]  # odd\n\tk\t=\t1\n",  # noqa: E501
    '[profiles.work]\nmodel = "o3"\nmodel_provider = "openai"\n\n[profiles.work.extra]\n',
    'model = "x"\n\n\n\n[a]\n\n\n[b]\n# trailing comment without newline',
)

CONFIG_YAML: tuple[str, ...] = (
    "",
    "\n",
    "# only a comment\n",
    "\ufeff---\nname: Mine\n",
    "name: Mine\nversion: 1.0.0\nschema: v1\n",
    "name: Mine\nmodels:\n  - name: A # own\n    provider: x\n\n  # why\n  - name: B\n    apiKey: |\n      a\n      b\n"
    "rules:\n  - uses: a/b\n",
    "models:\n- name: A\n  roles: [chat]\n- uses: a/b\n- uses: a/b\n",
    "models: []\nx: 1",
    "models:\nx: 1\n",
    "models: [{name: A}, {name: B}]\n",
    "models:   # the list\n    - {name: A}\n",
    "name: Mine\r\nmodels:\r\n  - name: A\r\n    x: y\r\n",
    "models:\n  - name: Switchyard\n    provider: ollama   # mine\n    model: x\n  - name: Switchyard too\n    x: y",
    "model: gpt-5.5 # mine\nopenai-api-key:   sk-mine\nread: [A.md, 'B C.md']\nset-env:\n  - A=1\n",
    "'model': >-\n  folded\n  text\n\nweak-model: \"x\\n\"\nwhen: 2026-11-28\nyes-always: on\n? odd\n: 1\n",
    "model: a\nmodel: b\n",
)
