"""What a channel speaks for one of its models: two vendors host models of several makers, each in its own format.

A row names its function (`Vendor.by_model`); "" is the row's whole list for every model. A channel's own `speaks`
narrows the result and sets its order. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..values.vendor import Channel

_CLAUDE = re.compile(r"claude|(?:^|[./:])anthropic\.", re.IGNORECASE)
_EMBEDS = re.compile(r"embed|gecko", re.IGNORECASE)
# The first of them is asked to predict, as the models before it are; the later ones by the verb of the Gemini API.
_EMBEDS_CONTENT = re.compile(r"gemini-embedding-(?!001|exp)")
_RERANKS = re.compile(r"rerank", re.IGNORECASE)
_DRAWS = re.compile(r"image|banana", re.IGNORECASE)
_IMAGEN = re.compile(r"imagen|imagegeneration", re.IGNORECASE)
_GEMINI = re.compile(r"gemini|gemma|learnlm|imagen|embedding", re.IGNORECASE)


def spoken(channel: Channel, model_sent: str) -> Mapping[str, str]:
    """Dialect → path, first preferred, for a model by its name upstream."""
    listed = channel.speaks or channel.vendor.speaks
    choose = _BY_MODEL.get(channel.vendor.by_model)
    if choose is None:
        return listed
    names = choose(model_sent)
    return {name: path for name, path in listed.items() if name in names}


def _bedrock(model: str) -> frozenset[str]:
    """Claude's own body at InvokeModel as well; every other chat model by Converse; what makes vectors or ranks is
    invoked."""
    if _RERANKS.search(model):
        return frozenset({"bedrock_rerank"})
    if _EMBEDS.search(model):
        return frozenset({"bedrock_embeddings"})
    return _BEDROCK_CLAUDE if _CLAUDE.search(model) else _BEDROCK_OTHERS


def _vertex(model: str) -> frozenset[str]:
    """Google's models by generateContent, Claude by rawPredict, partners' by the OpenAI-compatible endpoint."""
    if _CLAUDE.search(model):
        return _VERTEX_CLAUDE
    name = model.rsplit("/", 1)[-1]
    if _IMAGEN.search(name):
        return _IMAGENS
    if _EMBEDS.search(name):
        return frozenset({"vertex_embed_content" if _EMBEDS_CONTENT.match(name) else "vertex_embeddings"})
    return _googles(name) if _GEMINI.search(name) else _VERTEX_PARTNERS


def _gemini(model: str) -> frozenset[str]:
    """Imagen draws by `predict`, everything else is asked to generate content."""
    name = model.rsplit("/", 1)[-1]
    if _EMBEDS.search(name):
        return frozenset({"gemini_embeddings", "gemini_embed", "gemini_batch_embed"})
    return _IMAGENS if _IMAGEN.search(name) else _googles(name)


def _googles(name: str) -> frozenset[str]:
    return _VERTEX_GOOGLE | _DRAWN if _DRAWS.search(name) else _VERTEX_GOOGLE


_BEDROCK_CLAUDE = frozenset({"bedrock_converse", "anthropic_messages"})
_BEDROCK_OTHERS = frozenset({"bedrock_converse"})
_VERTEX_CLAUDE = frozenset({"anthropic_messages"})
_VERTEX_GOOGLE = frozenset({"gemini"})
_DRAWN = frozenset({"gemini_images", "gemini_image_edits"})
_IMAGENS = frozenset({"imagen", "imagen_edits"})
_VERTEX_PARTNERS = frozenset({"openai_chat"})
_BY_MODEL: Mapping[str, Callable[[str], frozenset[str]]] = {
    "bedrock": _bedrock,
    "gemini": _gemini,
    "vertex": _vertex,
}
