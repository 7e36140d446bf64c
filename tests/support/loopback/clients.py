"""The product's own client, pointed at the loopback: the network is rewritten, nothing else."""

from urllib.parse import urlsplit

from pipeline.market_data.exchange.connection import new_client


def pointed(exchange_id, url, **settings):
    """Make the client that the product makes, with every address of its API at ``url``, if any."""
    client = new_client(exchange_id)
    for name, address in client.urls["api"].items() if url else ():
        client.urls["api"][name] = url + urlsplit(address).path
    for name, value in settings.items():
        setattr(client, name, value)
    client.init_rest_rate_limiter()
    return client
