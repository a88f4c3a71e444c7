"""What is refused and why, and what may help: rows that are tried in their order."""

from switchyard.protocols.codec import DEFAULT_CAPABILITIES
from switchyard.protocols.refusals.dropped import HINTS, LISTED_NAMES, dropped, several
from switchyard.protocols.refusals.rows import (
    GAP,
    UNKNOWN,
    WRONG,
    ForeignThinking,
    Row,
    at,
    near,
    one_of,
    pairs,
    pattern,
    says,
    sets,
    whole_name,
)
from switchyard.protocols.refusals.values import (
    ALLOWED,
    KEYWORD,
    NUMBER_FIELD,
    NUMERIC,
    SCHEMA_PATH,
    betas,
    bounds,
    efforts,
    keywords,
    schema_forms,
)

THINKING = (
    whole_name(r"thinking|reasoning|thinking mode|reasoning mode|enable_thinking")
    + r"|'think'|think value|思考|推理"
)
TOOL_CHOICE = r"tool_choice|tool choice|forc(?:es?|ed|ing) (?:a )?tool|tool_choice"
SAMPLING = whole_name("temperature|top_p|top_k")
JSON_FORM = (
    r"response_format|json_schema|json schema|json mode|structured outputs?|response mime type|json_object"
)
NEVER = "(?!)"
SOME_EFFORT = tuple(effort for effort in DEFAULT_CAPABILITIES.efforts if effort != "none")
IMAGES = r"(?:image|vision|multimodal)[\w]*(?: ?(?:input|content|url|part|type)s?)?"

ROWS: tuple[Row, ...] = (
    ForeignThinking(
        sets(),
        pattern(
            r"(?<!missing a )(?:thought|thinking)[ _]?signature|signature.{0,100}(?:thinking|thought)"
            r"|thinking.{0,100}signature|expected '(?:redacted_)?thinking'"
            r"|thinking.{0,80}blocks?.{0,80}(?:cannot be modified|must (?:remain|match|be|start)|invalid)"
            r"|invalid_encrypted_content|encrypted content.{0,200}(?:verified|decrypted|invalid)"
            r"|reasoning.{0,60}without its required|without its required.{0,20}reasoning|item with id .?rs_"
            r"|encrypted_content.{0,60}(?:not be (?:verified|decrypted)|invalid)"
        ),
    ),
    says(r"invalid beta flag()", betas),
    says(r"unexpected value\(?s?\)? (.{1,500}?) for the .?anthropic-beta", betas),
    says(LISTED_NAMES.pattern, several),
    # longest answers
    says(
        r"max_tokens.{0,100}use.{0,20}max_completion_tokens", sets(max_tokens_field="max_completion_tokens")
    ),
    at("max_completion_tokens", UNKNOWN, sets(max_tokens_field="max_tokens")),
    # wrong combinations
    says(
        rf"^(?=.*{WRONG}).*?(?:{near(THINKING, TOOL_CHOICE)})",
        pairs("thinking+forced_tool", "forced_tool+thinking", forced_tool_choice=False),
    ),
    says(
        rf"tools? (?:with|and|alongside) {whole_name('reasoning_effort')}{GAP}{WRONG}"
        rf"|(?:{THINKING}|{whole_name('reasoning_effort')}){GAP}(?:with|and|when|while) (?:using )?(?:function "
        rf")?tools?{GAP}{WRONG}",
        pairs("thinking+tools"),
    ),
    says(
        rf"{SAMPLING}{GAP}{WRONG}{GAP}(?:when|while|with|if|in|unless) (?:using )?(?:{THINKING}"
        rf"|{whole_name('reasoning_effort')})"
        rf"|(?:{THINKING}){GAP}(?:does not support|incompatible with|cannot be used with|{WRONG}){GAP}{SAMPLING}",
        pairs("sampling+thinking"),
    ),
    says(
        rf"temperature.{{0,20}}top_p{GAP}(?:cannot both|both|only one|not both|together)|(?:both|only one "
        rf"of){GAP}temperature.{{0,20}}top_p",
        pairs("top_p+temperature"),
    ),
    says(
        near(
            JSON_FORM,
            r"(?:with|and|when|while|if|alongside|cannot be combined with|together with) (?:using "
            r")?(?:tools?|function[ -]call)",
        )
        + rf"|(?:tools?|function[ -]call(?:ing|s)?) (?:with|and){GAP}(?:{JSON_FORM})",
        pairs("json_schema+tools"),
    ),
    says(
        rf"(?:{JSON_FORM}){GAP}{WRONG}{GAP}(?:when|while|with|if|in) (?:using )?(?:{THINKING})",
        pairs("json_schema+thinking"),
    ),
    # streams
    says(
        rf"(?:{whole_name('stream')}|streaming){GAP}(?:must be (?:set to )?'?true|(?:is )?required)"
        r"|only supports? (?:the )?'?stream|non-?stream(?:ing)?.{0,60}(?:not supported|not support|不支持)"
        r"|for non-streaming calls|stream ?= ?'?false|(?:please|must) (?:use|enable|set) .{0,20}stream"
        r"|not support non-?stream|非流式|仅支持流式|只支持流式",
        sets(stream_only=True),
    ),
    at(
        "stream",
        UNKNOWN,
        sets(streams=False),
        words=r"(?:streaming|'?stream(?:ed responses|s| mode)?'?) (?:is |are )?(?:not supported|unsupported)"
        r"|(?:not support|n't support|unsupported(?: param(?:eter)?)?:?) (?:the )?(?:streaming|'stream')",
    ),
    # the conversation
    at(
        "(?:messages|input)\\.\\*\\.role",
        r"(?:'developer'|unknown variant 'developer'|'developer_?role')",
        sets(developer_role=False),
    ),
    says(
        rf"(?:{UNKNOWN}){GAP}{whole_name('developer')}|{whole_name('developer')}{GAP}(?:{UNKNOWN}|not one of)"
        rf"|'developer' is not one of"
        r"|invalid role:? '?developer|role.{0,20}'developer'.{0,40}invalid",
        sets(developer_role=False),
    ),
    says(
        r"(?<!system )roles? must alternate|must alternate|alternat(?:e|ing) (?:between )?'?user"
        r"|consecutive (?:user|assistant|messages)"
        r"|(?:same|multiple).{0,20}role.{0,30}(?:in a row|consecutive)|after the optional system message",
        sets(mid_system=False, consecutive_roles=False),
    ),
    says(
        r"system message must be|system messages?.{0,60}(?:at the beginning|must be first|only.{0,20}first"
        r"|not allowed|first message)"
        r"|role.{0,20}system.{0,30}(?:not supported|unexpected|invalid|must be|only)|unexpected role.{0,5}system"
        r"|unexpected message role|multiple system messages|only (?:one|a single) system message"
        r"|system.{0,10}消息.{0,20}(?:开头|首)",
        sets(mid_system=False),
    ),
    at(
        r"messages\.\*\.role",
        r"input should be 'user' or 'assistant'|unexpected|invalid|must be",
        sets(mid_system=False),
    ),
    at(
        r"messages\.\*\.content(?:\.\*)?",
        r"valid string|expected a string|must be (?:a )?(?:non-empty )?string|should be (?:a )?string|string_type"
        r"|invalid type: sequence|str type expected",
        sets(content_parts=False),
        also=r"content(?: field)?",
    ),
    says(
        r"unsupported content\[\]\.type|content.{0,40}(?:must|should) be (?:of type )?(?:a "
        r")?'?str(?:ing)?\b|invalid type: sequence, expected a string|cannot unmarshal array into go "
        r"struct field.{0,60}content.{0,20}of type string|(?:str|string).{0,20}not 'list'|消息内容必须(?:是|为)字符串",
        sets(content_parts=False),
    ),
    says(
        rf"^(?!.*\bformats?\b).*?(?:{IMAGES} (?:is|are|not) (?:not|only)? ?(?:supported|allowed|available)"
        rf"|{UNKNOWN}{GAP}(?<![\w/@.\-]){IMAGES}(?![\w/@\-])|not a (?:multimodal|vision)|at most 0 image"
        r"|unknown variant .?image_url|(?:image|图片|图像).{0,10}不支持|不支持.{0,10}(?:图片|图像|视觉)|(?:model|it) "
        r"cannot (?:process|read|see) images?"
        rf"|(?<![\w/@.\-]){IMAGES}(?![\w/@\-]){GAP}not (?:support|accept))",
        sets(images=False),
    ),
    # forms of the answer
    at(
        r"response_format(?:\.type|\.json_schema(?:\..*)?)?|output_config\.format|output_format"
        r"|text\.format(?:\.type)?",
        rf"{UNKNOWN}|must be (?:one of )?'?(?:text|json_object)|expected (?:one of )?'|should be '|is "
        rf"invalid|not one of",
        schema_forms,
        also=r"json_schema|json schema response|structured outputs?",
    ),
    # schemas of tools
    at(SCHEMA_PATH, rf"{WRONG}|field required|flavored|type 'object'|root", keywords),
    says(
        r"flavored json schema|schema must be a json schema of|(?:tool|function)(?: (?:call"
        r"|declaration))?.{0,40}schema.{0,200}(?:'?type'?: '?(?:none|null)|root|top.?level|must (?:be"
        r"|have).{0,20}(?:object|type)|\$ref|recursi|keyword)"
        r"|(?:json )?schema.{0,80}(?:keyword|feature|construct)s?.{0,40}(?:not supported|unsupported)"
        r"|unrecogni[sz]ed schema|schema conversion failed"
        rf"|(?:{UNKNOWN}){GAP}(?:{KEYWORD.pattern}){GAP}(?:schema|tool|function|declaration)|(?:schema|tool"
        rf"|function declaration)s?{GAP}(?:{KEYWORD.pattern}){GAP}(?:{UNKNOWN})"
        rf"|(?:{KEYWORD.pattern}){GAP}(?:{UNKNOWN}){GAP}(?:schema|tool|function)",
        keywords,
    ),
    says("proto field is not repeating", sets(full_schemas=False)),
    # tools
    at(
        r"tool_choice(?:\..*)?",
        rf"{UNKNOWN}|only|must|invalid(?= tool_choice type)|只支持|仅支持|value_error",
        one_of({"forced_tool_choice": False}, {"dropped_fields": ("tool_choice",)}),
        also="tool choice",
    ),
    at(
        "parallel_tool_calls",
        UNKNOWN + "|must be",
        sets(parallel_tool_calls=False),
        also="parallel tool calls?",
    ),
    says(
        r"(?:invalid value|unknown variant|unsupported tool type|tool type|unknown tool type)"
        r".{0,40}\b(?:namespace|custom|tool_search|additional_tools|custom_tool_call|local_shell|agent_message)"
        r"|unknown parameter.{0,30}namespace\b|type'? of tool must be 'function'"
        r"|tools?.{0,40}type.{0,20}(?:must|should) be 'function'",
        sets(responses_items=False, custom_tools=False),
    ),
    # thinking
    at(
        r"reasoning_effort|reasoning\.effort|output_config\.effort|reasoning|effort|think",
        ALLOWED.pattern,
        efforts,
        words=rf"(?:{whole_name('reasoning_effort|reasoning.effort|effort')}|effort|think value"
        rf"|推理强度).{{0,300}}?(?:{ALLOWED.pattern})",
    ),
    says(
        rf"(?:{THINKING}){GAP}(?:is mandatory|(?:cannot|can not|can't) be (?:disabled|turned off|switched off))",
        sets(efforts=SOME_EFFORT),
    ),
    says(r"use .{0,3}thinking\.type\.adaptive", sets(reasoning_effort="adaptive", thinking_budgets=False)),
    at(
        r"messages\.(?:\d+|\*)\.(?:system\.)?output_config(?:\.effort)?",
        UNKNOWN,
        sets(effort_in_messages=False),
    ),
    says("configuration_update", sets(effort_in_messages=False)),
    at(
        "output_config",
        UNKNOWN,
        sets(reasoning_effort="budget"),
        also=whole_name("adaptive") + "|effort parameter",
    ),
    at("thinking(?:\\.type)?", r"'adaptive'", sets(reasoning_effort="budget")),
    says(
        r"unknown variant 'adaptive'|input tag 'adaptive'|thinking\.type.{0,60}'?adaptive'?",
        sets(reasoning_effort="budget"),
    ),
    at(
        r"reasoning_effort|reasoning\.effort|reasoning|thinking|think|thinking\.type",
        UNKNOWN,
        sets(reasoning_effort="none"),
        words=near(rf"{whole_name('reasoning_effort|reasoning.effort')}|{THINKING}", UNKNOWN),
    ),
    says(
        r"reasoning_content.{0,40}(?:missing|must|required)|missing.{0,10}'?reasoning_content",
        sets(reasoning_history="required"),
    ),
    # other fields
    at(r"stream_options(?:\.include_usage)?", UNKNOWN + "|only|invalid", sets(include_usage=False)),
    at(
        "stop",
        UNKNOWN,
        sets(stop=False),
        words=near("'stop'|stop sequences", UNKNOWN) + r"|param(?:eter)?:? stop\b",
    ),
    at("top_k", UNKNOWN, sets(top_k=False)),
    at("context_management", UNKNOWN, sets(context_management=False)),
    at(r"(?:.*\.)?cache_control", UNKNOWN, sets(cache_control=False)),
    at(
        "store",
        r"must be (?:set to )?'?false|(?:set to )?'?true'? (?:is )?not|zero data retention",
        sets(store=False),
    ),
    # numbers
    at(NUMERIC.pattern, ".", bounds, words=NUMBER_FIELD.pattern),
    # whatever else
    at(".+", rf"{UNKNOWN}|forbidden", dropped, words=rf"{UNKNOWN}|非法|forbidden"),
    at(
        rf"(?:.*\.)?(?:{'|'.join(sorted(HINTS))})",
        r"invalid|too long|must|should|expected|at most|not valid",
        dropped,
        words=NEVER,
    ),
)
