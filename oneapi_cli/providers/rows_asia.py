"""Rows of Chinese OpenAI-format vendors. What each field means stands in `values/vendor.py`.

Where a vendor runs two platforms, in China and abroad, an account of the other one sets `base_url`.
"""

from __future__ import annotations

from ..values.vendor import Quirks, Vendor
from .rows_paths import CHAT, COMPLETIONS, EMBEDDINGS, IMAGES, MESSAGES, RERANK, RESPONSES, SPEECH, TRANSCRIPTIONS

_MAX_TOKENS = Quirks(token_limit_name="max_tokens")

# Thoughts come back beside calls (DeepSeek refuses a history without them), and a schema has to be put in words.
_THINKS = Quirks(
    token_limit_name="max_tokens", takes=("reasoning_content", "thinking"), refuses=("json_schema", "reasoning_details")
)

ASIA = (
    # Completions fill in the middle and stand below /beta. The compatible surface has no /v1 of its own.
    Vendor(
        name="deepseek",
        base="https://api.deepseek.com",
        speaks=CHAT
        | RESPONSES
        | {"openai_completions": "/beta/completions", "anthropic_messages": "/anthropic/v1/messages"},
        key_env="DEEPSEEK_API_KEY",
        prices="deepseek",
        quirks=_THINKS,
        example_models=("deepseek-flash", "deepseek-v4-pro", "deepseek-v4-flash"),
        source="https://api-docs.deepseek.com/",
        checked="2026-11",
    ),
    # https://api.moonshot.cn/v1 for accounts in China.
    Vendor(
        name="moonshot",
        base="https://api.moonshot.ai/v1",
        speaks=CHAT | RESPONSES | {"anthropic_messages": "https://api.moonshot.ai/anthropic/v1/messages"},
        key_env="MOONSHOT_API_KEY",
        prices="moonshotai",
        quirks=Quirks(takes=("reasoning_content",)),
        example_models=("kimi-k3", "kimi-k3.1-pro", "kimi-k2.7-code", "kimi-k2.6"),
        source="https://platform.kimi.ai/docs/api/overview",
        checked="2026-11",
    ),
    # The Coding Plan has a base of its own, https://api.z.ai/api/coding/paas/v4.
    Vendor(
        name="zai",
        base="https://api.z.ai/api/paas/v4",
        speaks=CHAT | {"anthropic_messages": "https://api.z.ai/api/anthropic/v1/messages"},
        key_env="ZAI_API_KEY",
        prices="zai",
        quirks=_THINKS,
        example_models=("GLM-5.3", "GLM-5.3-Flash", "GLM-5.2", "GLM-4.7"),
        source="https://docs.z.ai/guides/develop/openai/python",
        checked="2026-11",
    ),
    Vendor(
        name="zhipu",
        base="https://open.bigmodel.cn/api/paas/v4",
        speaks=CHAT
        | EMBEDDINGS
        | {"anthropic_messages": "https://open.bigmodel.cn/api/anthropic/v1/messages"}
        | IMAGES
        | SPEECH
        | TRANSCRIPTIONS,
        key_env="ZHIPUAI_API_KEY",
        prices="zhipuai",
        quirks=_THINKS,
        example_models=("GLM-5.3", "GLM-5.3-Flash", "GLM-4.7", "embedding-3"),
        source="https://docs.bigmodel.cn/cn/guide/develop/openai/introduction",
        checked="2026-11",
    ),
    # `max_tokens` is documented as deprecated. https://api.minimaxi.com/v1 for accounts in China.
    Vendor(
        name="minimax",
        base="https://api.minimax.io/v1",
        speaks=CHAT | RESPONSES | {"anthropic_messages": "https://api.minimax.io/anthropic/v1/messages"},
        key_env="MINIMAX_API_KEY",
        prices="minimax",
        quirks=Quirks(token_limit_name="max_completion_tokens"),
        example_models=("minimax-m3", "MiniMax-M2.7", "MiniMax-M2.7-highspeed"),
        source="https://platform.minimax.io/docs/api-reference/text-openai-api",
        checked="2026-11",
    ),
    # Alibaba Model Studio. https://dashscope-intl.aliyuncs.com/compatible-mode/v1 for its international accounts.
    Vendor(
        name="ali",
        base="https://dashscope.aliyuncs.com/compatible-mode/v1",
        speaks=CHAT
        | COMPLETIONS
        | EMBEDDINGS
        | RESPONSES
        | {"anthropic_messages": "https://dashscope.aliyuncs.com/apps/anthropic/v1/messages"},
        key_env="DASHSCOPE_API_KEY",
        quirks=_MAX_TOKENS,
        example_models=("qwen3-max", "qwen-plus", "qwen-flash", "text-embedding-v4"),
        source="https://help.aliyun.com/zh/model-studio/toolkits-and-frameworks",
        checked="2026-11",
    ),
    # Volcengine Ark. A model's name or an endpoint's id (ep-…) both stand in `model`.
    Vendor(
        name="doubao",
        base="https://ark.cn-beijing.volces.com/api/v3",
        speaks=CHAT | RESPONSES | EMBEDDINGS,
        key_env="ARK_API_KEY",
        example_models=("doubao-seed-2-1-pro-260628", "doubao-seed-2-1-turbo-260628", "doubao-seed-1-8-251228"),
        source="https://www.volcengine.com/docs/82379/1298459",
        checked="2026-11",
    ),
    # Qianfan's second API; an app id may go in a header of the channel (`headers: {appid: …}`).
    Vendor(
        name="baidu",
        base="https://qianfan.baidubce.com/v2",
        speaks=CHAT | EMBEDDINGS,
        key_env="QIANFAN_API_KEY",
        example_models=("ernie-5.1", "ernie-5.0", "embedding-v1"),
        source="https://cloud.baidu.com/doc/qianfan/s/Hmh4suq26",
        checked="2026-11",
    ),
    # TokenHub, which took over from hunyuan (closed 2026-09-30).
    # https://tokenhub-intl.tencentcloudmaas.com/v1 for international accounts.
    Vendor(
        name="tencent",
        base="https://tokenhub.tencentmaas.com/v1",
        speaks=CHAT | RESPONSES | EMBEDDINGS,
        key_env="TENCENT_TOKENHUB_API_KEY",
        quirks=_MAX_TOKENS,
        example_models=("hy3", "glm-5.2", "minimax-m3", "kinfra-text-embedding-0.6b"),
        source="https://cloud.tencent.com/document/product/1823/130079",
        checked="2026-11",
    ),
    # Spark's HTTP API; the key is the APIPassword of one model version, and the vendor names no variable for it.
    # The page itself could not be read in 2026-11: base and path are as public clients of October 2026 have them.
    Vendor(
        name="xunfei",
        base="https://spark-api-open.xf-yun.com/v1",
        speaks=CHAT,
        quirks=Quirks(token_limit_name="max_tokens", stream_usage=False),
        example_models=("generalv3.5", "4.0Ultra", "lite"),
        source="https://www.xfyun.cn/doc/spark/HTTP%E8%B0%83%E7%94%A8%E6%96%87%E6%A1%A3.html",
        checked="2026-11",
    ),
    # https://api.stepfun.ai/v1 for international accounts. Responses serve the newest model only.
    Vendor(
        name="stepfun",
        base="https://api.stepfun.com/v1",
        speaks=CHAT | RESPONSES | MESSAGES,
        key_env="STEPFUN_API_KEY",
        quirks=_MAX_TOKENS,
        example_models=("step-3.7-flash", "step-3.5-flash"),
        source="https://platform.stepfun.com/docs/zh/api-reference/chat/chat-completion-create",
        checked="2026-11",
    ),
    # https://api.siliconflow.cn/v1 for accounts in China.
    Vendor(
        name="siliconflow",
        base="https://api.siliconflow.com/v1",
        speaks=CHAT | EMBEDDINGS | MESSAGES | RERANK | IMAGES | SPEECH | TRANSCRIPTIONS,
        key_env="SILICONFLOW_API_KEY",
        quirks=_MAX_TOKENS,
        example_models=("deepseek-ai/DeepSeek-V3.2", "Qwen/Qwen3-Embedding-8B"),
        source="https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
        checked="2026-11",
    ),
    # The platform's page lists models of 2024 and 2025; its host answers.
    Vendor(
        name="baichuan",
        base="https://api.baichuan-ai.com/v1",
        speaks=CHAT,
        key_env="BAICHUAN_API_KEY",
        quirks=Quirks(token_limit_name="max_tokens", stream_usage=False),
        example_models=("Baichuan4-Turbo", "Baichuan4-Air"),
        source="https://platform.baichuan-ai.com/docs/api",
        checked="2026-11",
    ),
    # The vendor's page could not be read in 2026-11: base, path and models are as public clients have them.
    Vendor(
        name="ai360",
        base="https://api.360.cn/v1",
        speaks=CHAT,
        key_env="AI360_API_KEY",
        quirks=Quirks(token_limit_name="max_tokens", stream_usage=False),
        example_models=("360gpt2-pro", "360gpt-turbo"),
        source="https://ai.360.cn/platform/docs/overview",
        checked="2026-11",
    ),
)
