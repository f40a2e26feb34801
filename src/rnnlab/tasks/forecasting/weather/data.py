"""The weather of the next days: the highest temperature, from a window of all that was measured."""

from rnnlab.tasks.forecasting.series.data import SeriesData


class WeatherData(SeriesData):
    """The highest temperature yₜ of a day, °C. The first example, of 2 to 15 January 2012:

        input    (10.6, 10.9, 2.8, 4.5, 0.01, 1.00), (11.7, 0.8, 7.2, 2.3, 0.03, 1.00), ..., (1.1, 5.3, -3.3, 3.2, ...)
        target   0.6, 2.2, -1.1, -2.2, 6.1, 7.2, 5.6            the next 7 days, against the last that was read

    both scaled. A day is yₜ, the precipitation (mm), the lowest temperature (°C), the wind (m/s), and sin and cos of
    the time of the year. See `SeriesData` for the options.
    """
