"""The classes of the formats, for tests of one format; only here is known where they stand."""

from tokenstream.formats._wire.a2a import A2A
from tokenstream.formats._wire.ag_ui import AGUI
from tokenstream.formats._wire.anthropic import Anthropic
from tokenstream.formats._wire.anthropic_agents import AnthropicAgents
from tokenstream.formats._wire.bare_text import Text
from tokenstream.formats._wire.bedrock_converse import BedrockConverse
from tokenstream.formats._wire.bedrock_invoke import BedrockInvoke
from tokenstream.formats._wire.cohere import Cohere
from tokenstream.formats._wire.gemini import Gemini
from tokenstream.formats._wire.gemini_interactions import GeminiInteractions
from tokenstream.formats._wire.gemini_live import GeminiLive
from tokenstream.formats._wire.langchain import LangChain
from tokenstream.formats._wire.langchain.protocol import LangChainProtocol
from tokenstream.formats._wire.llamaindex import LlamaIndex
from tokenstream.formats._wire.mistral_conversations import MistralConversations
from tokenstream.formats._wire.ollama import Ollama
from tokenstream.formats._wire.openai_chat import OpenAIChat
from tokenstream.formats._wire.openai_completions import OpenAICompletions
from tokenstream.formats._wire.openai_live import OpenAILive
from tokenstream.formats._wire.openai_realtime import OpenAIRealtime
from tokenstream.formats._wire.openai_responses import OpenAIResponses
from tokenstream.formats._wire.pieces import Pieces
from tokenstream.formats._wire.tgi import TGI
from tokenstream.formats._wire.tokenstream import TokenStream
from tokenstream.formats._wire.transcription import Transcription
from tokenstream.formats._wire.ui_message import UIMessage

__all__ = [
    "A2A",
    "AGUI",
    "TGI",
    "Anthropic",
    "AnthropicAgents",
    "BedrockConverse",
    "BedrockInvoke",
    "Cohere",
    "Gemini",
    "GeminiInteractions",
    "GeminiLive",
    "LangChain",
    "LangChainProtocol",
    "LlamaIndex",
    "MistralConversations",
    "Ollama",
    "OpenAIChat",
    "OpenAICompletions",
    "OpenAILive",
    "OpenAIRealtime",
    "OpenAIResponses",
    "Pieces",
    "Text",
    "TokenStream",
    "Transcription",
    "UIMessage",
]
