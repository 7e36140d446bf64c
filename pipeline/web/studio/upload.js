/* Send the chosen file to the API; what it answers goes to the page as the event `looked_at`. */
async function sendCandles(input, query) {
  const file = document.getElementById(input).files[0];
  const tell = (status, body) => emitEvent('looked_at', {status, body});
  if (!file) return tell(0, 'Choose a file of candles.');
  try {
    const answer = await fetch(`/api/candles/imports?${query}&file=${encodeURIComponent(file.name)}`, {
      method: 'POST', body: file, headers: {'Content-Type': 'application/octet-stream', 'X-Refusal-In-Body': '1'},
    });
    const body = await answer.json(), refused = answer.headers.get('X-Status');
    tell(Number(refused || answer.status), refused ? body.detail : body);
  } catch (error) {
    tell(0, `${file.name} could not be sent: it changed since you chose it, or the server is not there.`);
  }
}
