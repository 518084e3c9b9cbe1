"""The Chat Completions wire, our own on aiohttp and msgspec.

convert     messages to and from the wire's dicts        request    one call as the body of a POST
decode      bytes of a stream to pieces and a Reply      failures   statuses and error objects to our tree
endpoint    where it is, with which headers              headroom   what its headers say is left
told        what it tells of its models besides          sessions   one HTTP session an event loop
client      WireChat, the ChatModel made of these
"""
