"""OpenAI's Responses API, on the wire's own connection: `Model("openai/responses:NAME")`.

convert     messages to and from input items        request    one call as the body of a POST
decode      events of a stream to pieces and a Reply
client      ResponsesChat, a WireChat that says and reads these
"""
